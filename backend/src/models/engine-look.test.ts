import { expect, it } from 'vitest';
import { vllmOptions } from '../../../contract/engine-options/schema.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { EngineLook } from './engine-look.ts';
import type { EngineContainer } from './engine-room/room.ts';

const record: ModelRecord = {
  ...{ id: 'mdl_1', name: 'm', served_name: 'm', engine: 'vllm', task: 'generate', folder: 'm', file: null },
  ...{ replicas: 1, wanted: 'running', createdAt: '2026-01-01T00:00:00.000Z', version: 1 },
  options: vllmOptions.parse({ extra_args: ['--hub-token', 's3cret-token'], extra_env: { MY_KEY: 's3cret-key' } }),
};
const container = {
  ...{ id: 'c', modelId: record.id, replica: 0, status: 'exited', specHash: 'x', createdAtMs: 0, address: null },
};
const details: EngineContainer = {
  ...{ id: 'c', name: 'n', labels: {}, image: 'i', status: 'exited', exitCode: 1, oomKilled: false, error: '' },
  ...{ startedAt: '', mounts: [], addresses: {} },
};
const look = (logs: () => AsyncGenerator<string>) =>
  new EngineLook(
    { inspect: () => Promise.resolve(details), logs },
    () => 'engine-key',
    async () => null,
  ).at(container, 8000, record);

it('the reason of an end names no secret that the engine wrote down', async () => {
  const { diagnosis } = await look(async function* () {
    yield 'vllm: error: unrecognized arguments: --hub-token s3cret-token s3cret-key engine-key';
  });
  expect(JSON.stringify(diagnosis)).not.toMatch(/s3cret|engine-key/);
  expect(diagnosis?.cause?.evidence).toContain('--hub-token ‹hidden›');
});

it('an end is told also where Docker does not give the log', async () => {
  // biome-ignore lint/correctness/useYield: it fails before it gives a line.
  const { diagnosis } = await look(async function* () {
    throw new Error('can not get logs from container which is dead or marked for removal');
  });
  expect(diagnosis?.reason).toBe('the engine ended with code 1');
});
