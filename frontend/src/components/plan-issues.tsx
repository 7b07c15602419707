import type { PlanIssue } from '../../../contract/models.ts';

/** Everything that stands against the start, before it is tried. */
export function PlanIssues({ issues }: { issues: readonly PlanIssue[] }) {
  return (
    <section role="alert" className="space-y-2 rounded-lg border border-warn/50 bg-surface p-4" aria-label="Issues">
      <p className="font-medium text-warn">
        ▲ {issues.length === 1 ? 'One thing' : `${issues.length} things`} to settle
      </p>
      <ul className="space-y-2">
        {issues.map(({ param, message, hint }) => (
          <li key={`${param}${message}`}>
            {param === null ? null : <span className="font-mono text-xs">{param}: </span>}
            {message}
            {hint === null ? null : <span className="block text-muted">{hint}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
