import type { Model } from '../../../contract/models.ts';
import { Card } from './page.tsx';
import { ModelStatus } from './status.tsx';

/** Each engine of a model that has more than one. */
export function Replicas({ model }: { model: Model }) {
  const { replicas, replica_states: states } = model;
  if (replicas === 1 && states.length <= 1) return null;
  return (
    <Card title={`Replicas (${replicas})`}>
      {states.length === 0 ? <p className="text-muted">None runs.</p> : null}
      <ul className="space-y-1" data-testid="replicas">
        {states.map(({ replica, state, reason }) => (
          <li key={replica} className="flex min-w-0 gap-3">
            <span className="w-6 shrink-0 text-right font-mono text-muted">{replica}</span>
            <ModelStatus state={state} reason={reason} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
