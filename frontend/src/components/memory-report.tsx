import type { MemoryFigures, MemoryReport } from '../../../contract/memory.ts';
import { formatAgo, formatCount, formatGib } from '../format.ts';
import { Card, Table } from './page.tsx';

const rows: readonly (readonly [keyof MemoryFigures, string])[] = [
  ['weights', 'Weights'],
  ['kv_cache', 'Cache'],
  ['activations', 'Computing'],
  ['graphs', 'CUDA graphs'],
  ['runtime', 'Kernels'],
  ['cache_tokens', 'Tokens in the cache'],
];

/** What was planned beside what the engine said, so that the plan's error is known. */
export function MemoryReportCard({ report }: { report: MemoryReport | null }) {
  if (report === null)
    return (
      <Card title="Memory as the engine reported it">
        <p className="text-muted">
          Nothing yet: it is read from the engine's log when the model becomes ready. Newest builds of llama.cpp only
          write it with log verbosity 4.
        </p>
      </Card>
    );
  const { planned, reported, at } = report;
  return (
    <section className="space-y-2">
      <h2 className="text-sm font-semibold">
        Memory as the engine reported it{' '}
        <span className="font-normal text-muted" title={at}>
          {formatAgo(at)}
        </span>
      </h2>
      <Table
        label="Planned and reported memory"
        head={[
          { name: 'Part' },
          { name: 'Planned', right: true },
          { name: 'Reported', right: true },
          { name: 'Error', right: true },
        ]}
      >
        {rows.map(([key, name]) => {
          const [plan, real] = [planned?.[key] ?? null, reported[key]];
          if (real === null) return null;
          return (
            <tr key={key}>
              <td className="px-3 py-2">{name}</td>
              <td className="px-3 py-2 text-right">{shown(key, plan)}</td>
              <td className="px-3 py-2 text-right">{shown(key, real)}</td>
              <td className="px-3 py-2 text-right">{errorOf(plan, real)}</td>
            </tr>
          );
        })}
      </Table>
    </section>
  );
}

const shown = (key: keyof MemoryFigures, value: number | null): string => {
  if (value === null) return '–';
  return key === 'cache_tokens' ? formatCount(Math.round(value)) : formatGib(value);
};

function errorOf(planned: number | null, reported: number): string {
  if (planned === null || reported === 0) return '–';
  const percent = (100 * (planned - reported)) / reported;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
}
