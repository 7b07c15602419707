import { useMutation } from '@tanstack/react-query';
import { Plus, X } from 'lucide-react';
import { useState } from 'react';
import type { Alias } from '../../../contract/routing.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Field, SelectField } from '../components/field.tsx';
import { Form } from '../components/form.tsx';

/** A target's part of the requests: 25 %. */
export function shareOf(weight: number, targets: readonly { weight: number }[]): string {
  const sum = targets.reduce((total, target) => total + target.weight, 0);
  if (sum === 0) return targets.length === 1 ? '100 %' : `${Math.round(100 / targets.length)} %`;
  return weight === 0 ? 'reserve' : `${Math.round((weight / sum) * 100)} %`;
}

/** Makes an alias, or changes the one that was there before. */
export function AliasForm({
  before,
  names,
  onClose,
}: {
  before: Alias | undefined;
  names: readonly string[];
  onClose: () => void;
}) {
  const [name, setName] = useState(before?.name ?? '');
  const [targets, setTargets] = useState(
    before?.targets.map((target) => ({ name: target.served_name, weight: String(target.weight) })) ?? [
      { name: names[0] ?? '', weight: '1' },
    ],
  );
  const save = useMutation({
    mutationFn: () =>
      call('setAlias', {
        body: {
          name: name.trim(),
          targets: targets.map((target) => ({ served_name: target.name, weight: Number(target.weight) })),
        },
      }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.routing.queryKey });
      onClose();
    },
  });
  const change = (at: number, to: Partial<(typeof targets)[number]>) =>
    setTargets(targets.map((target, index) => (index === at ? { ...target, ...to } : target)));
  const weights = targets.map(({ weight }) => ({ weight: Number(weight) }));
  const free = names.filter((one) => !targets.some((target) => target.name === one));
  return (
    <Dialog
      title={before === undefined ? 'New alias' : `Change ${before.name}`}
      description="Another name for served names, each with its share of the requests."
      open
      onClose={onClose}
    >
      <Form
        error={save.error}
        fields={['name', 'targets']}
        busy={save.isPending}
        submit={before === undefined ? 'Create alias' : 'Save'}
        onSubmit={() => save.mutate()}
        onCancel={onClose}
      >
        <Field
          label="Name"
          required
          disabled={before !== undefined}
          help="What programs ask for as model."
          error={errorAt(save.error, 'name')}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <fieldset className="min-w-0 space-y-2">
          <legend className="mb-1 text-sm font-medium">Goes to</legend>
          {targets.map((target, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the rows have no other identity than their place.
            <div key={at} className="flex items-start gap-2">
              <div className="min-w-0 flex-1">
                <SelectField
                  label="Served name"
                  required
                  error={errorAt(save.error, `targets.${at}.served_name`)}
                  value={target.name}
                  onChange={(event) => change(at, { name: event.target.value })}
                >
                  <option value="">Choose…</option>
                  {[...new Set([target.name, ...free])].filter(Boolean).map((one) => (
                    <option key={one}>{one}</option>
                  ))}
                </SelectField>
              </div>
              <div className="w-20">
                <Field
                  label="Weight"
                  type="number"
                  min={0}
                  max={1000}
                  required
                  help={shareOf(Number(target.weight), weights)}
                  error={errorAt(save.error, `targets.${at}.weight`)}
                  value={target.weight}
                  onChange={(event) => change(at, { weight: event.target.value })}
                />
              </div>
              <Button
                look="quiet"
                className="mt-6.5"
                aria-label={`Remove ${target.name || 'this target'}`}
                disabled={targets.length === 1}
                onClick={() => setTargets(targets.filter((_, index) => index !== at))}
              >
                <X size={14} aria-hidden />
              </Button>
            </div>
          ))}
          <Button
            disabled={free.length === 0}
            onClick={() => setTargets([...targets, { name: free[0] ?? '', weight: '1' }])}
          >
            <Plus size={14} aria-hidden />
            Add a target
          </Button>
          <p className="text-xs text-muted">Weight 0 is a reserve: asked only when no other target is ready.</p>
        </fieldset>
      </Form>
    </Dialog>
  );
}
