import { useMutation } from '@tanstack/react-query';
import { useRouter, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { Failure } from '../components/page.tsx';

export function SignIn() {
  const router = useRouter();
  const { to } = useSearch({ from: '/sign-in' });
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useMutation({
    mutationFn: () => call('login', { body: { username, password } }),
    onSuccess: async (me) => {
      queryClient.clear();
      queryClient.setQueryData(queries.me.queryKey, me);
      if (me.user.must_change_password) await router.navigate({ to: '/password' });
      // An address with its search as it was left.
      else router.history.push(to ?? '/models');
    },
  });
  return (
    <main className="grid min-h-screen place-items-center p-4">
      <form
        className="w-full max-w-sm space-y-4 rounded-lg border border-line bg-surface p-6"
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate();
        }}
      >
        <h1 className="flex items-center gap-2.5 text-lg font-semibold">
          <img src="/icon.svg" alt="" className="size-7" />
          Sign in to Cortex
        </h1>
        <Field
          label="User name"
          autoComplete="username"
          autoFocus
          required
          value={username}
          onChange={(event) => setUsername(event.target.value)}
        />
        <Field
          label="Password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        {signIn.isError ? <Failure error={signIn.error} /> : null}
        <Button look="primary" type="submit" className="w-full" disabled={signIn.isPending}>
          {signIn.isPending ? 'Signing in…' : 'Sign in'}
        </Button>
        <p className="text-xs text-muted">
          No account yet? On the machine that runs Cortex, <code className="font-mono">make bootstrap-default</code>{' '}
          makes the first one.
        </p>
      </form>
    </main>
  );
}
