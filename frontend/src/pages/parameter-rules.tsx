import { Plus, X } from 'lucide-react';
import { errorAt } from '../api/client.ts';
import { Button } from '../components/button.tsx';
import { Field, SelectField } from '../components/field.tsx';
import { newRow, type RuleKind, type RuleRow, ruleKinds } from './rule-rows.ts';

const kinds: Record<RuleKind, string> = {
  default: 'set if missing',
  force: 'always set to',
  max: 'at most',
  forbid: 'not allowed',
};

/** What is done with parameters of a request, one rule a line. */
export function ParameterRules({
  rows,
  error,
  onChange,
}: {
  rows: readonly RuleRow[];
  error: unknown;
  onChange: (rows: readonly RuleRow[]) => void;
}) {
  const change = (id: number, to: Partial<RuleRow>) =>
    onChange(rows.map((row) => (row.id === id ? { ...row, ...to } : row)));
  const general = rows.some(({ parameter }) => errorAt(error, `settings.parameters.${parameter.trim()}`) !== undefined)
    ? undefined
    : errorAt(error, 'settings.parameters');
  return (
    <fieldset className="min-w-0 space-y-2">
      <legend className="mb-1 font-semibold">Parameter rules</legend>
      <p className="text-xs text-muted">
        What happens to parameters of a request, under OpenAI's names. A value is JSON (0.7, true, ["\n"]) or a word.
      </p>
      {rows.map((row) => {
        const at = `settings.parameters.${row.parameter.trim()}`;
        const atKind = errorAt(error, `${at}.${row.kind}`);
        return (
          <div
            key={row.id}
            className="grid grid-cols-[1fr_auto] items-start gap-2 border-t border-line pt-2 sm:grid-cols-[1fr_9rem_1fr_auto]"
          >
            <Field
              label="Parameter"
              required
              placeholder="temperature"
              error={atKind === undefined ? errorAt(error, at) : undefined}
              value={row.parameter}
              onChange={(event) => change(row.id, { parameter: event.target.value })}
            />
            <div className="col-start-1 sm:col-start-auto">
              <SelectField
                label="Rule"
                value={row.kind}
                onChange={(event) =>
                  change(row.id, { kind: ruleKinds.find((kind) => kind === event.target.value) ?? 'default' })
                }
              >
                {ruleKinds.map((kind) => (
                  <option key={kind} value={kind}>
                    {kinds[kind]}
                  </option>
                ))}
              </SelectField>
            </div>
            <div className="col-start-1 sm:col-start-auto">
              {row.kind === 'forbid' ? null : (
                <Field
                  label="Value"
                  required
                  error={atKind}
                  value={row.value}
                  onChange={(event) => change(row.id, { value: event.target.value })}
                />
              )}
            </div>
            <Button
              look="quiet"
              className="col-start-2 row-start-1 mt-6.5 sm:col-start-4"
              aria-label={`Remove the rule for ${row.parameter || 'this parameter'}`}
              onClick={() => onChange(rows.filter(({ id }) => id !== row.id))}
            >
              <X size={14} aria-hidden />
            </Button>
          </div>
        );
      })}
      {general === undefined ? null : <p className="text-xs text-bad">{general}</p>}
      <Button onClick={() => onChange([...rows, newRow()])}>
        <Plus size={14} aria-hidden />
        Add a rule
      </Button>
    </fieldset>
  );
}
