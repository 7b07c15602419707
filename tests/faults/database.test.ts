import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../db/postgres-server.ts';
import type { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { startCountingEngine } from './counting-engine.ts';
import { Load } from './load.ts';
import { ServedCortex } from './served-cortex.ts';

const isLong = process.env.LONG === '1';
const outageMs = isLong ? 60_000 : 6_000;
const workerCounts = isLong ? ['1', '2'] : ['2'];
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a database that goes away under load', () => {
  let postgres: PostgresServer;
  let engine: ScriptedEngine;
  let cortex: ServedCortex;
  beforeEach(async () => {
    [postgres, engine] = await Promise.all([startPostgres(), startCountingEngine()]);
    cortex = new ServedCortex();
  });
  afterEach(async () => {
    await cortex.stop();
    await engine.close();
    await postgres.stop();
  });

  it.each(workerCounts)(
    `loses and doubles nothing in ${outageMs / 1000} s, with GATEWAY_WORKERS=%s`,
    async (workers) => {
      await cortex.serve(engine.url, { DATABASE_URL: postgres.url, GATEWAY_WORKERS: workers });
      const load = new Load(cortex.api, cortex.token, 'steady', 4);
      await pause(500);
      await postgres.crash();
      const before = load.complete.length;
      const depths: number[] = [];
      for (let part = 0; part < 3; part += 1) {
        await pause(outageMs / 3);
        depths.push(await cortex.metric('cortex_usage_journal_bytes'));
      }
      const during = load.complete.length - before;
      await postgres.restart();
      await pause(500);
      await load.stop();

      expect(load.failures).toBe(0);
      expect(load.complete).toHaveLength(load.asked);
      expect(during).toBeGreaterThan(50);
      expect(depths[0]).toBeGreaterThan(0);
      expect(depths).toEqual([...new Set(depths)].sort((a, b) => a - b));
      // Between two tries of the writer are at most 30 s; then it has a minute's requests to write.
      await vi.waitFor(async () => expect(await cortex.metric('cortex_usage_journal_bytes')).toBe(0), {
        timeout: 120_000,
        interval: 500,
      });
      await cortex.expectLedgerToHold(load);
      expect((await cortex.ledger()).size).toBe(load.asked);
      console.info(`${during} requests were answered without a database; the journal grew to ${depths.at(-1)} bytes`);
    },
  );
});
