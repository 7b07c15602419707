import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { passwordMinLength } from '../../../contract/identity.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { Card, Failure, Page } from '../components/page.tsx';

export function ChangePassword() {
  const navigate = useNavigate();
  const { data: me } = useQuery(queries.me);
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const change = useMutation({
    mutationFn: () => call('changePassword', { body: { current, next } }),
    onSuccess: async () => {
      await queryClient.fetchQuery({ ...queries.me, staleTime: 0 });
      await navigate({ to: '/models' });
    },
  });
  const tooShort =
    next !== '' && next.length < passwordMinLength ? `${passwordMinLength} characters or more` : undefined;
  return (
    <Page
      title="Choose a password"
      lead={
        me?.user.must_change_password
          ? 'The generated one was shown on a screen: choose one that only you know.'
          : undefined
      }
    >
      <Card className="max-w-md">
        <form
          className="space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate();
          }}
        >
          <Field
            label="Current password"
            type="password"
            autoComplete="current-password"
            required
            value={current}
            onChange={(event) => setCurrent(event.target.value)}
          />
          <Field
            label="New password"
            type="password"
            autoComplete="new-password"
            required
            help={`${passwordMinLength} characters or more; four random words do well.`}
            error={tooShort}
            value={next}
            onChange={(event) => setNext(event.target.value)}
          />
          {change.isError ? <Failure error={change.error} /> : null}
          <Button look="primary" type="submit" disabled={change.isPending || next.length < passwordMinLength}>
            Change password
          </Button>
        </form>
      </Card>
    </Page>
  );
}
