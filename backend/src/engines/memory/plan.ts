import type { MemoryFigures, MemoryPartKind, MemoryPlan } from '../../../../contract/memory.ts';
import { fitsOf, GiB, type Layout } from './layout.ts';
import { largestContext, layoutOf, type PlanQuestion } from './question.ts';
import { suggestionsFor } from './suggestions.ts';

/** The whole plan of a start. */
export function planMemory(question: PlanQuestion): MemoryPlan {
  const layout = layoutOf(question);
  const fits = fitsOf(layout);
  const largest = largestContext(question);
  return {
    fits,
    reason: layout.impossible ?? reasonOf(layout, fits),
    context: layout.context,
    largest_context: largest,
    kv_bytes_per_token: Math.round(layout.kvBytesPerToken),
    full_requests: layout.fullRequests === null ? null : Math.round(layout.fullRequests * 100) / 100,
    devices: [...layout.devices],
    suggestions: fits === false ? suggestionsFor(question, layout, largest) : [],
    notes: [...layout.notes],
  };
}

const gib = (bytes: number): string => `${(bytes / GiB).toFixed(1)} GiB`;

function reasonOf({ devices, fullRequests, context }: Layout, fits: boolean | null): string | null {
  if (fits === true) return null;
  const unknown = devices.find((device) => device.fits === null);
  if (fits === null && unknown !== undefined)
    return unknown.device === 'gpu'
      ? 'How much memory the GPUs have is not known.'
      : 'How much main memory there is is not known.';
  if (fullRequests !== null && fullRequests < 1)
    return `What weights and graphs leave of vLLM's share is less than the cache of one request of ${context} tokens.`;
  const short = devices.find((device) => device.fits === false);
  if (short === undefined) return null;
  const { name, planned_bytes, available_bytes } = short;
  return `${name}: ${gib(planned_bytes)} are needed and ${gib(available_bytes ?? 0)} can be had.`;
}

/** The sums of a plan, to be compared with what the engine reports. */
export function figuresOf({ devices, full_requests, context }: MemoryPlan): MemoryFigures {
  const parts = devices.flatMap(({ device, parts: those }) => those.map((part) => ({ ...part, device })));
  const of = (wanted: MemoryPartKind) =>
    parts.reduce((total, { kind, bytes }) => total + (kind === wanted ? bytes : 0), 0);
  const reserve = parts.reduce(
    (total, { kind, device, bytes }) => total + (kind === 'reserve' && device === 'gpu' ? bytes : 0),
    0,
  );
  return {
    weights: of('weights'),
    kv_cache: of('kv_cache') + reserve,
    activations: of('activations'),
    graphs: of('graphs'),
    runtime: of('runtime'),
    cache_tokens: full_requests === null ? context : Math.round(full_requests * context),
  };
}
