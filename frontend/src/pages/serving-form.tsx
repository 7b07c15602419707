import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type ServingSettings, servingSettings } from '../../../contract/routing.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Field } from '../components/field.tsx';
import { Form } from '../components/form.tsx';
import { Fallbacks } from './fallbacks.tsx';
import { ParameterRules } from './parameter-rules.tsx';
import { type RuleRow, rowsOf, rulesOf } from './rule-rows.ts';

const usual = servingSettings.parse({});

const numbers = [
  { name: 'max_concurrent', label: 'Answered at a time', help: 'All replicas together. Empty: what the engine takes.' },
  { name: 'queue_limit', label: 'May wait', help: 'Requests in the queue; more are refused.' },
  { name: 'queue_timeout_seconds', label: 'Longest wait, s', help: 'For a place. 0: no limit.' },
  { name: 'first_byte_timeout_seconds', label: 'First byte within, s', help: 'Of the engine. 0: no limit.' },
  { name: 'idle_timeout_seconds', label: 'Longest silence, s', help: 'Within an answer. 0: no limit.' },
  { name: 'total_timeout_seconds', label: 'Whole answer within, s', help: '0: no limit.' },
] as const;
type NumberName = (typeof numbers)[number]['name'];

const textsOf = (settings: ServingSettings): Record<NumberName, string> => ({
  max_concurrent: String(settings.max_concurrent ?? ''),
  queue_limit: String(settings.queue_limit),
  queue_timeout_seconds: String(settings.queue_timeout_seconds),
  first_byte_timeout_seconds: String(settings.first_byte_timeout_seconds),
  idle_timeout_seconds: String(settings.idle_timeout_seconds),
  total_timeout_seconds: String(settings.total_timeout_seconds),
});

/** How requests for a served name are treated. */
export function ServingForm({
  servedName,
  before,
  names,
  onClose,
}: {
  servedName: string;
  before: ServingSettings | undefined;
  names: readonly string[];
  onClose: () => void;
}) {
  const [texts, setTexts] = useState(textsOf(before ?? usual));
  const [fallbacks, setFallbacks] = useState<readonly string[]>(before?.fallbacks ?? []);
  const [rows, setRows] = useState<readonly RuleRow[]>(rowsOf(before?.parameters ?? {}));
  const save = useMutation({
    mutationFn: () => {
      const number = (name: NumberName) => Number(texts[name]);
      const settings = {
        max_concurrent: texts.max_concurrent === '' ? null : number('max_concurrent'),
        queue_limit: number('queue_limit'),
        queue_timeout_seconds: number('queue_timeout_seconds'),
        first_byte_timeout_seconds: number('first_byte_timeout_seconds'),
        idle_timeout_seconds: number('idle_timeout_seconds'),
        total_timeout_seconds: number('total_timeout_seconds'),
        fallbacks: [...fallbacks],
        parameters: rulesOf(rows),
      };
      return call('setServing', { body: { served_name: servedName, settings } });
    },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.routing.queryKey });
      onClose();
    },
  });
  const reset = () => {
    setTexts(textsOf(usual));
    setFallbacks([]);
    setRows([]);
  };
  return (
    <Dialog
      title={`Settings of ${servedName}`}
      description="How requests for this name are treated, whichever replica answers them."
      size="wide"
      open
      onClose={onClose}
    >
      <Form
        error={save.error}
        fields={['settings']}
        busy={save.isPending}
        submit="Save"
        onSubmit={() => save.mutate()}
        onCancel={onClose}
      >
        <fieldset className="min-w-0 space-y-2">
          <legend className="mb-1 font-semibold">Queue and timeouts</legend>
          <div className="grid gap-4 sm:grid-cols-3">
            {numbers.map(({ name, label, help }) => (
              <Field
                key={name}
                label={label}
                type="number"
                min={name === 'max_concurrent' ? 1 : 0}
                step={name.endsWith('_seconds') ? 'any' : 1}
                required={name !== 'max_concurrent'}
                help={help}
                error={errorAt(save.error, `settings.${name}`)}
                value={texts[name]}
                onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
              />
            ))}
          </div>
        </fieldset>
        <Fallbacks
          chosen={fallbacks}
          names={names.filter((name) => name !== servedName)}
          error={errorAt(save.error, 'settings.fallbacks')}
          onChange={setFallbacks}
        />
        <ParameterRules rows={rows} error={save.error} onChange={setRows} />
        <Button look="quiet" className="-ml-3" onClick={reset}>
          Put everything back to usual
        </Button>
      </Form>
    </Dialog>
  );
}
