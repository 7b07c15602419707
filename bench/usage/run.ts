import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Kysely } from 'kysely';
import { listKeys } from '../../backend/src/db/key-records.ts';
import { openDatabase } from '../../backend/src/db/open.ts';
import type { Database } from '../../backend/src/db/schema.ts';
import { insertUsage, listUsage } from '../../backend/src/db/usage-records.ts';
import { deleteUsageBefore, raiseUsageHorizon } from '../../backend/src/db/usage-retention.ts';
import {
  groupNames,
  largestGroups,
  outcomeCounts,
  rollupTotals,
  seriesPoints,
} from '../../backend/src/db/usage-series.ts';
import { UsageAnalytics } from '../../backend/src/usage/analytics.ts';
import { startPostgres } from '../../tests/db/postgres-server.ts';
import { usageOf } from '../../tests/db/usage-record.ts';
import { fillYear, keys, models } from './year.ts';

// How long the control plane's questions about usage take after a year of 100 requests a second, on real Postgres or with --embedded.

interface Row {
  readonly question: string;
  readonly median_ms: number;
  readonly longest_ms: number;
  readonly goal_ms: number;
  readonly pass: boolean;
}

const goalMs = 1000;
const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean' },
    requests: { type: 'string', default: '2000000' },
    embedded: { type: 'boolean' },
  },
});
const tell = (text: string) => process.stderr.write(`${text}\n`);
const day = 86_400_000;

async function timeOf(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

async function measure(question: string, action: () => Promise<unknown>, runs = 7): Promise<Row> {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) times.push(await timeOf(action));
  times.sort((a, b) => a - b);
  const longest = times.at(-1) ?? 0;
  return {
    question,
    median_ms: Number((times[Math.floor(runs / 2)] ?? 0).toFixed(1)),
    longest_ms: Number(longest.toFixed(1)),
    goal_ms: goalMs,
    pass: longest < goalMs,
  };
}

const batch = () =>
  Array.from({ length: 500 }, (_, n) =>
    usageOf({
      request_id: `bench-${crypto.randomUUID()}`,
      at: new Date().toISOString(),
      key_id: `k${n % keys}`,
      user_id: `u${n % 5}`,
      organization_id: 'o',
      served_name: `model-${n % models}`,
      first_byte_ms: n,
    }),
  );

async function questions(db: Kysely<Database>): Promise<Row[]> {
  const analytics = new UsageAnalytics(
    {
      largestGroups: (...question) => largestGroups(db, ...question),
      seriesPoints: (...question) => seriesPoints(db, ...question),
      totals: (range) => rollupTotals(db, range),
      outcomes: (range) => outcomeCounts(db, range),
      names: (group, ids) => groupNames(db, group, ids),
    },
    400,
  );
  const last = (days: number) => ({ from: new Date(Date.now() - days * day).toISOString() });
  const deep = await listUsage(db, { limit: 1000 });
  const cursor = deep.next_cursor ?? undefined;
  const asked: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['series 24 h by hour', () => analytics.series({ ...last(1), group: 'none' })],
    ['series 7 d by hour and model', () => analytics.series({ ...last(7), group: 'model' })],
    ['series 31 d by hour and key', () => analytics.series({ ...last(31), bucket: 'hour', group: 'key' })],
    [
      'series 31 d by hour of one key',
      () => analytics.series({ ...last(31), bucket: 'hour', group: 'none', key_id: 'k3' }),
    ],
    ['series 1 y by day and model', () => analytics.series({ ...last(365), group: 'model' })],
    ['series 1 y by day and key', () => analytics.series({ ...last(365), group: 'key' })],
    ['series 1 y by day of one key', () => analytics.series({ ...last(365), group: 'model', key_id: 'k3' })],
    ['summary 24 h', () => analytics.summary(last(1))],
    ['summary 30 d by day', () => analytics.summary(last(30))],
    ['summary 31 d by hour', () => analytics.summary({ ...last(31), bucket: 'hour' })],
    ['summary 1 y', () => analytics.summary(last(365))],
    ['list, newest', () => listUsage(db, { limit: 100 })],
    ['list, a later page', () => listUsage(db, { limit: 100, cursor })],
    ['list of one key', () => listUsage(db, { limit: 100, key_id: 'k3' })],
    ['list of one model', () => listUsage(db, { limit: 100, model: 'model-3' })],
    ['list of one user', () => listUsage(db, { limit: 100, user_id: 'u3' })],
    ['list of failures', () => listUsage(db, { limit: 100, outcome: 'engine_error' })],
    ['list of a key and a model that never met', () => listUsage(db, { limit: 100, key_id: 'k3', model: 'nothing' })],
    ['key list', () => listKeys(db)],
    ['insert of 500', () => insertUsage(db, batch())],
  ];
  const rows: Row[] = [];
  for (const [question, action] of asked) rows.push(await measure(question, action));
  return rows;
}

/** Inserts while old requests are deleted as fast as the database can. */
async function whileSweeping(db: Kysely<Database>): Promise<Row> {
  const before = new Date(Date.now() - 3_600_000);
  await raiseUsageHorizon(db, before);
  let deleted = 0;
  let ended = false;
  const sweeping = timeOf(async () => {
    for (let count = -1; count !== 0 && !ended; deleted += Math.max(0, count))
      count = await deleteUsageBefore(db, before, 2000);
  });
  const row = await measure('insert of 500 while old requests are deleted', () => insertUsage(db, batch()), 30);
  ended = true;
  const took = await sweeping;
  tell(`deleted ${deleted} requests in ${Math.round(took)} ms`);
  return row;
}

const server = options.embedded ? null : await startPostgres();
const dataDir = mkdtempSync(join(tmpdir(), 'cortex-bench-usage-'));
try {
  const { db, close } = await openDatabase(server ? { url: server.url } : { dataDir });
  try {
    tell(`filling a year: ${8760 * keys * models} hours, ${options.requests} single requests`);
    tell(`filled in ${Math.round(await timeOf(() => fillYear(db, Number(options.requests))))} ms`);
    const rows = [...(await questions(db)), await whileSweeping(db)];
    if (options.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    else console.table(rows);
    if (rows.some(({ pass }) => !pass)) process.exitCode = 1;
  } finally {
    await close();
  }
} finally {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
