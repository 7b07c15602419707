import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type LimitedSubject, limitSubject } from '../../../contract/routing.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Dialog } from '../components/dialog.tsx';
import { Field, SelectField } from '../components/field.tsx';
import { Form } from '../components/form.tsx';
import { limitFields, subjectWords } from './limit-words.ts';

type LimitName = (typeof limitFields)[number]['name'];

/** Sets what one subject may use; which one is chosen first where it is open yet. */
export function LimitForm({
  subjects,
  chosen,
  onChoose,
  onClose,
}: {
  subjects: readonly LimitedSubject[];
  chosen: LimitedSubject | undefined;
  onChoose: (subject: LimitedSubject) => void;
  onClose: () => void;
}) {
  const [texts, setTexts] = useState<Partial<Record<LimitName, string>>>(() =>
    Object.fromEntries(limitFields.map(({ name }) => [name, String(chosen?.limits[name] ?? '')])),
  );
  const save = useMutation({
    mutationFn: async ({ subject, id }: LimitedSubject) => {
      const number = (name: LimitName) => (texts[name] ? Number(texts[name]) : null);
      await call('setLimit', {
        body: {
          subject,
          id,
          requests_per_minute: number('requests_per_minute'),
          tokens_per_minute: number('tokens_per_minute'),
          concurrent_requests: number('concurrent_requests'),
          tokens_per_day: number('tokens_per_day'),
          tokens_per_month: number('tokens_per_month'),
        },
      });
    },
    onSuccess: async () => {
      await Promise.all(
        [queries.limits, queries.routing].map(({ queryKey }) => queryClient.invalidateQueries({ queryKey })),
      );
      onClose();
    },
  });
  return (
    <Dialog
      title={chosen === undefined ? 'Set a limit' : `Limits of ${chosen.name}`}
      description={
        chosen === undefined
          ? 'Choose first whose.'
          : `What this ${subjectWords[chosen.subject]} may use at most. Empty: no limit. Days and months are those of UTC.`
      }
      open
      onClose={onClose}
    >
      <Form
        error={save.error}
        fields={limitFields.map(({ name }) => name)}
        busy={save.isPending}
        disabled={chosen === undefined}
        submit="Save"
        onSubmit={() => chosen && save.mutate(chosen)}
        onCancel={onClose}
      >
        {chosen === undefined ? (
          <SelectField
            label="Whose"
            value=""
            onChange={(event) => {
              const found = subjects.find(({ subject, id }) => `${subject} ${id}` === event.target.value);
              if (found) onChoose(found);
            }}
          >
            <option value="">Choose…</option>
            {limitSubject.options.map((kind) => (
              <optgroup key={kind} label={subjectWords[kind]}>
                {subjects
                  .filter(({ subject, exists }) => subject === kind && exists)
                  .map(({ subject, id, name, detail }) => (
                    <option key={id} value={`${subject} ${id}`}>
                      {detail === null ? name : `${name} (${detail})`}
                    </option>
                  ))}
              </optgroup>
            ))}
          </SelectField>
        ) : (
          <div className="grid gap-4 sm:grid-cols-2">
            {limitFields.map(({ name, label }) => (
              <Field
                key={name}
                label={label}
                type="number"
                min={1}
                placeholder="no limit"
                error={errorAt(save.error, name)}
                value={texts[name] ?? ''}
                onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
              />
            ))}
          </div>
        )}
      </Form>
    </Dialog>
  );
}
