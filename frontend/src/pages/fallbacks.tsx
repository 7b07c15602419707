import { ArrowUp, X } from 'lucide-react';
import { Button } from '../components/button.tsx';
import { SelectField } from '../components/field.tsx';

/** Served names that answer in another's place, in their order. */
export function Fallbacks({
  chosen,
  names,
  error,
  onChange,
}: {
  chosen: readonly string[];
  names: readonly string[];
  error: string | undefined;
  onChange: (chosen: readonly string[]) => void;
}) {
  const free = names.filter((name) => !chosen.includes(name));
  const raise = (at: number) => {
    const next = [...chosen];
    next.splice(at - 1, 0, ...next.splice(at, 1));
    onChange(next);
  };
  return (
    <fieldset className="min-w-0 space-y-2">
      <legend className="mb-1 font-semibold">Fallbacks</legend>
      {chosen.length === 0 ? null : (
        <ol className="divide-y divide-line rounded-md border border-line">
          {chosen.map((name, at) => (
            <li key={name} className="flex items-center gap-2 py-0.5 pr-0.5 pl-3">
              <span className="min-w-0 flex-1 truncate font-mono text-xs" title={name}>
                {at + 1}. {name}
              </span>
              <Button look="quiet" aria-label={`Ask ${name} earlier`} disabled={at === 0} onClick={() => raise(at)}>
                <ArrowUp size={14} aria-hidden />
              </Button>
              <Button
                look="quiet"
                aria-label={`Remove ${name}`}
                onClick={() => onChange(chosen.filter((one) => one !== name))}
              >
                <X size={14} aria-hidden />
              </Button>
            </li>
          ))}
        </ol>
      )}
      <SelectField
        label="Add a fallback"
        help="Answers in its place while it can't: not ready, no engine, or queue full. Asked in this order."
        error={error}
        disabled={free.length === 0}
        value=""
        onChange={(event) => onChange([...chosen, event.target.value])}
      >
        <option value="">{free.length === 0 ? 'There is no other served name' : 'Choose a served name…'}</option>
        {free.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </SelectField>
    </fieldset>
  );
}
