import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../tests/db/postgres-server.ts';
import { printTable, type Row } from '../table.ts';
import type { Effort } from './effort.ts';
import { measureLatency } from './measures/latency.ts';
import { measureMemory } from './measures/memory.ts';
import { measureBulkyPrompt, measureStreamCpu, measureStreamTimes } from './measures/streams.ts';
import { measureThroughput, measureWorkers } from './measures/throughput.ts';
import type { Bench } from './measuring.ts';
import { startMock } from './targets.ts';

const measures: Readonly<Record<string, (bench: Bench, effort: Effort) => Promise<Row[]>>> = {
  throughput: measureThroughput,
  workers: measureWorkers,
  latency: measureLatency,
  'stream-cpu': measureStreamCpu,
  'stream-times': measureStreamTimes,
  memory: measureMemory,
  'bulky-prompt': measureBulkyPrompt,
};

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    /** The database in a thread of the server, instead of a Postgres server. */
    embedded: { type: 'boolean' },
    /** Names of measures with commas between. */
    only: { type: 'string', default: Object.keys(measures).join(',') },
  },
});
const effort = {
  rounds: Number(flags.rounds),
  seconds: Number(flags.seconds),
  growthSeconds: process.env.LONG === '1' ? 600 : 60,
};
const say = (text: string) => process.stderr.write(`${text}\n`);
const root = resolve(import.meta.dirname, '../../..');
const base = process.env.TMPDIR ?? tmpdir();
const work = mkdtempSync(join(base, 'cortex-bench-gateway-'));
const postgres = flags.embedded ? null : await startPostgres();
const places = {
  scripts: import.meta.dirname,
  sources: join(root, 'bench/gateway'),
  work,
  postgresUrl: postgres?.url ?? null,
};

try {
  const mock = await startMock(places);
  const rows: Row[] = [];
  try {
    for (const name of flags.only.split(',')) {
      const measure = measures[name];
      if (measure === undefined) throw new Error(`${name} is not one of ${Object.keys(measures).join(', ')}`);
      say(name);
      rows.push(...(await measure({ places, mock, postgresPid: postgres?.pid ?? null, say }, effort)));
    }
  } finally {
    await mock.stop();
  }
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 1e9),
    node: process.version,
    database: postgres === null ? 'embedded' : 'postgres',
    ...effort,
  };
  if (flags.json) process.stdout.write(`${JSON.stringify({ rows, machine }, null, 2)}\n`);
  else printTable(rows);
} finally {
  await postgres?.stop();
  rmSync(work, { recursive: true, force: true });
}
