import type { Cause } from '../../../contract/diagnosis.ts';
import type { ModelState, ReplicaState } from '../../../contract/models.ts';

/** A replica as it was found. */
export interface ReplicaFinding extends ReplicaState {
  readonly hint: string | null;
  readonly cause: Cause | null;
}

export interface ModelSummary {
  readonly state: ModelState;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly cause: Cause | null;
}

/** Of those that do not serve, the one that is nearest to it tells most. */
const tellingFirst: readonly ModelState[] = ['unhealthy', 'loading', 'pulling', 'starting', 'failed', 'stopping'];

/** What is so of a model as a whole: ready as soon as one replica serves it. */
export function summarise(wanted: 'running' | 'stopped', replicas: readonly ReplicaFinding[]): ModelSummary {
  const ready = replicas.filter(({ state }) => state === 'ready');
  const others = replicas.filter(({ state }) => state !== 'ready' && state !== 'stopped');
  if (wanted === 'stopped') {
    const [first] = replicas.filter(({ state }) => state !== 'stopped');
    return first === undefined ? quiet('stopped') : { ...quiet('stopping'), reason: first.reason };
  }
  const telling = tellingFirst.map((state) => others.find((replica) => replica.state === state)).find(Boolean);
  if (ready.length === 0) return telling === undefined ? quiet('starting') : plain(telling);
  if (telling === undefined) return quiet('ready');
  const all = ready.length + others.length;
  const why = telling.reason === null ? telling.state : `${telling.state}, ${telling.reason}`;
  return {
    state: 'ready',
    reason: `${ready.length} of ${all} replicas serve; replica ${telling.replica}: ${why}`,
    hint: telling.hint,
    cause: telling.cause,
  };
}

const quiet = (state: ModelState): ModelSummary => ({ state, reason: null, hint: null, cause: null });
const plain = ({ state, reason, hint, cause }: ReplicaFinding): ModelSummary => ({ state, reason, hint, cause });
