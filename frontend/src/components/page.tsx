import { type ReactNode, useEffect } from 'react';
import { ApiError } from '../api/client.ts';
import { Button } from './button.tsx';

export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Cortex`;
  }, [title]);
  return (
    <div className="mx-auto max-w-6xl space-y-5 p-4 md:p-6">
      <header className="flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0">
          <h1 className="text-xl font-semibold break-words">{title}</h1>
          {lead ? <p className="mt-0.5 break-words text-muted">{lead}</p> : null}
        </div>
        {actions ? <div className="flex flex-wrap gap-2">{actions}</div> : null}
      </header>
      {children}
    </div>
  );
}

export function Card({ title, children, className = '' }: { title?: string; children: ReactNode; className?: string }) {
  return (
    <section className={`rounded-lg border border-line bg-surface ${className}`}>
      {title ? <h2 className="border-b border-line px-4 py-2.5 text-sm font-semibold">{title}</h2> : null}
      <div className="p-4">{children}</div>
    </section>
  );
}

/** A list's place while it comes: its own shape. */
export function Skeleton({ rows = 4 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="space-y-2">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all the same.
        <div key={row} className="h-10 animate-pulse rounded-md bg-raised" />
      ))}
    </div>
  );
}

export function Empty({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-3 rounded-lg border border-dashed border-line bg-surface px-6 py-12 text-center">
      <h2 className="text-base font-semibold">{title}</h2>
      <div className="max-w-prose text-muted">{children}</div>
      {action}
    </div>
  );
}

/** What happened, why, and what to do: always with a way on. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const hint = error instanceof ApiError ? error.hint : null;
  return (
    <div role="alert" className="space-y-2 rounded-lg border border-bad/50 bg-surface p-4">
      <p className="font-medium text-bad">▲ {error instanceof Error ? error.message : String(error)}</p>
      {hint ? <p className="text-muted">{hint}</p> : null}
      {retry ? <Button onClick={retry}>Try again</Button> : null}
    </div>
  );
}

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="grid grid-cols-[max-content_1fr] gap-x-6 gap-y-1.5">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted first-letter:uppercase">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The buttons of a row say themselves what they do. */
const actionsColumn = 'Actions';

/** @param label what the rows are, for those who do not see the heading */
export function Table({
  label,
  head,
  children,
}: {
  label: string;
  /** wide: only where there is room for it. */
  head: readonly { name: string; right?: boolean; wide?: boolean }[];
  children: ReactNode;
}) {
  return (
    <section
      className="relative overflow-x-auto rounded-lg border border-line bg-surface"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
      tabIndex={0}
      aria-label={label}
    >
      <table className="w-full text-left" aria-label={label}>
        <thead className="border-b border-line text-xs text-muted">
          <tr>
            {head.map(({ name, right, wide }) => (
              <th
                key={name}
                scope="col"
                className={`px-3 py-2 font-medium whitespace-nowrap ${right ? 'text-right' : ''} ${wide ? 'hidden sm:table-cell' : ''}`}
              >
                {name === actionsColumn ? <span className="sr-only">{name}</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">{children}</tbody>
      </table>
    </section>
  );
}
