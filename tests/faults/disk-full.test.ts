import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { startCountingEngine } from './counting-engine.ts';
import { Load } from './load.ts';
import { ServedCortex } from './served-cortex.ts';

const workerCounts = process.env.LONG === '1' ? ['1', '2'] : ['2'];

describe('a disk that is full', () => {
  let engine: ScriptedEngine;
  let cortex: ServedCortex;
  let journal: string;
  const mount = (...args: string[]) => execFileSync('mount', args, { stdio: 'pipe' });
  beforeEach(async () => {
    engine = await startCountingEngine();
    cortex = new ServedCortex();
    journal = join(cortex.dir, 'data/usage');
    mkdirSync(journal, { recursive: true, mode: 0o700 });
    mount('-t', 'tmpfs', '-o', 'size=128k,mode=700', 'none', journal);
  });
  afterEach(async () => {
    await cortex.end('SIGKILL');
    // Workers go when they see that the first process has gone.
    await vi.waitFor(() => execFileSync('umount', [journal], { stdio: 'pipe' }), { timeout: 5000, interval: 50 });
    await cortex.stop();
    await engine.close();
  });

  it.each(workerCounts)(
    'for the journal stops no request and is told; with room again nothing is lost or doubled, with GATEWAY_WORKERS=%s',
    async (workers) => {
      await cortex.serve(engine.url, { GATEWAY_WORKERS: workers });
      const checks = async (): Promise<unknown> => Object(await (await fetch(`${cortex.api}/health`)).json()).checks;
      const load = new Load(cortex.api, cortex.token, 'steady', 4);
      await vi.waitFor(async () => expect(await checks()).toMatchObject({ usage_journal: 'failed' }), 20_000);
      expect(await cortex.metric('cortex_usage_waiting_records')).toBeGreaterThan(0);
      const full = load.complete.length;
      await vi.waitFor(() => expect(load.complete.length).toBeGreaterThan(full + 50), 10_000);

      mount('-o', 'remount,size=64m', journal);
      await vi.waitFor(async () => expect(await checks()).toMatchObject({ usage_journal: 'ok' }), 5000);
      await load.stop();
      expect(load.failures).toBe(0);
      expect(load.complete).toHaveLength(load.asked);
      await cortex.expectLedgerToHold(load);
      expect((await cortex.ledger()).size).toBe(load.asked);
      expect(await cortex.metric('cortex_usage_dropped_records')).toBe(0);
      expect(cortex.log).toContain('The usage journal cannot be written; records wait in memory');
      expect(cortex.log).toContain('The usage journal can be written again');
      console.info(`the disk was full after ${full} of ${load.asked} requests`);
    },
  );
});
