import type { MemoryDevice, MemoryPartKind, MemoryPlan, MemorySuggestion } from '../../../contract/memory.ts';
import type { LaunchPlan } from '../../../contract/models.ts';
import { formatCount, formatGib } from '../format.ts';
import { Button } from './button.tsx';
import { Card } from './page.tsx';
import { Status } from './status.tsx';

const partNames: Record<MemoryPartKind, string> = {
  weights: 'weights',
  kv_cache: 'cache of the context',
  activations: 'computing',
  graphs: 'CUDA graphs',
  runtime: 'kernels',
  driver: 'CUDA itself',
  reserve: 'cache of further requests',
};
const colours: Record<MemoryPartKind, string> = {
  weights: 'var(--series-0)',
  kv_cache: 'var(--series-1)',
  activations: 'var(--series-2)',
  graphs: 'var(--series-3)',
  runtime: 'var(--series-7)',
  driver: 'var(--series-5)',
  reserve: 'var(--series-others)',
};

/** The GPUs that a model would be given. */
export function givenGpus({ gpus, memory }: LaunchPlan): string {
  const given = (memory?.devices ?? []).filter(({ uuid }) => uuid !== null).map(({ name }) => name);
  if (given.length > 0) return given.join(', ');
  return gpus && memory?.devices.some(({ device }) => device === 'gpu')
    ? 'all NVIDIA GPUs of this machine'
    : 'none: it runs on the CPU';
}

/**
 * Where a model's memory will go, before it starts.
 * @param onApply takes over the options of a suggestion; left out where nothing can be changed
 */
export function MemoryPlanCard({
  plan,
  onApply,
}: {
  plan: MemoryPlan;
  onApply?: (options: MemorySuggestion['options']) => void;
}) {
  return (
    <Card title="Memory plan">
      <div className="space-y-4" data-testid="memory-plan">
        <div className="space-y-1">
          <p>
            <Verdict plan={plan} />
          </p>
          <p className="text-muted">{wordsOf(plan)}</p>
        </div>
        {plan.devices.map((device, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: GPUs that nobody counted have nothing else to be told apart by.
          <Device key={`${device.uuid}${place}`} device={device} />
        ))}
        {plan.suggestions.length > 0 ? (
          <div className="space-y-2">
            <h3 className="font-medium">What would make it fit</h3>
            <ul className="space-y-2">
              {plan.suggestions.map((suggestion) => (
                <li key={suggestion.text} className="flex flex-wrap items-center gap-x-3 gap-y-1">
                  {onApply ? (
                    <Button onClick={() => onApply(suggestion.options)} aria-label={`Apply: ${suggestion.text}`}>
                      Apply
                    </Button>
                  ) : null}
                  <span>{suggestion.text}</span>
                  <code className="font-mono text-xs text-muted">
                    {Object.entries(suggestion.options)
                      .map(([name, value]) => `${name} = ${value}`)
                      .join(', ')}
                  </code>
                </li>
              ))}
            </ul>
          </div>
        ) : null}
        <ul className="space-y-0.5 text-xs text-muted">
          {plan.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
          <li>An estimate; once the model has run, its page compares it with what the engine took.</li>
        </ul>
      </div>
    </Card>
  );
}

function Verdict({ plan: { fits, reason } }: { plan: MemoryPlan }) {
  if (fits === true) return <Status mark="●" word="fits" tone="ok" />;
  const look = fits === false ? { mark: '▲', tone: 'bad' as const } : { mark: '○', tone: 'muted' as const };
  return (
    <>
      <Status {...look} word={fits === false ? 'does not fit' : "can't be told"} />
      {reason ? <span className="text-muted"> · {reason}</span> : null}
    </>
  );
}

function wordsOf({ context, largest_context, kv_bytes_per_token, full_requests }: MemoryPlan): string {
  const words = [`Planned for ${formatCount(context)} tokens of context`];
  if (largest_context !== null)
    words.push(largest_context === 0 ? 'no context fits' : `up to ${formatCount(largest_context)} fit`);
  if (kv_bytes_per_token > 0) words.push(`each takes ${formatCount(Math.round(kv_bytes_per_token / 1024))} KiB`);
  if (full_requests !== null && full_requests >= 1)
    words.push(`room for ${formatCount(Math.floor(full_requests))} requests of the whole context`);
  return `${words.join(' · ')}.`;
}

function Device({
  device: { name, parts, planned_bytes, total_bytes, available_bytes, fits },
}: {
  device: MemoryDevice;
}) {
  const others = total_bytes === null || available_bytes === null ? 0 : Math.max(0, total_bytes - available_bytes);
  const whole = Math.max(planned_bytes + others, total_bytes ?? 0, 1);
  const share = (bytes: number) => `${(100 * bytes) / whole}%`;
  return (
    <div>
      <div className="mb-1 flex flex-wrap justify-between gap-x-4">
        <span className="font-medium">{name}</span>
        <span className={fits === false ? 'text-bad' : 'text-muted'}>
          {fits === false ? '▲ ' : ''}
          {formatGib(planned_bytes)}
          {available_bytes === null ? '' : fits === false ? ' needed, ' : ' of '}
          {available_bytes === null
            ? ''
            : `${formatGib(available_bytes)} ${fits === false ? 'can be had' : 'that can be had'}`}
        </span>
      </div>
      <div className="flex h-4 overflow-hidden rounded bg-raised" aria-hidden>
        {parts.map(({ kind, bytes }) => (
          <div
            key={kind}
            title={`${partNames[kind]}: ${formatGib(bytes)}`}
            style={{ width: share(bytes), background: colours[kind] }}
          />
        ))}
        <div className="flex-1" />
        {others > 0 ? (
          <div
            title={`others: ${formatGib(others)}`}
            className="border-l border-line bg-line"
            style={{ width: share(others) }}
          />
        ) : null}
      </div>
      <ul className="mt-1 flex flex-wrap gap-x-4 gap-y-0.5 text-xs text-muted">
        {parts.map(({ kind, bytes }) => (
          <li key={kind} className="flex items-center gap-1.5">
            <span aria-hidden className="size-2 rounded-sm" style={{ background: colours[kind] }} />
            {partNames[kind]} {formatGib(bytes)}
          </li>
        ))}
        {others > 0 ? <li>taken by others {formatGib(others)}</li> : null}
      </ul>
    </div>
  );
}
