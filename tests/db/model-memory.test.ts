import { describe, expect, it } from 'vitest';
import { findMemoryReport, putMemoryReport } from '../../backend/src/db/memory-report-records.ts';
import { deleteModel, findModel, insertModel, listModels, setWanted } from '../../backend/src/db/model-records.ts';
import { shapeOfConfig } from '../../backend/src/engines/memory/config-shape.ts';
import { ModelMemory } from '../../backend/src/models/model-memory.ts';
import type { Gpu } from '../../contract/memory.ts';
import { type ModelState, newModel } from '../../contract/models.ts';
import { onBothDatabases } from './both-databases.ts';

const GiB = 1024 ** 3;
let counter = 0;
const started = () => Promise.resolve();
const vllm = (options: object = {}) =>
  newModel.parse({ name: 'm', served_name: `memory-${++counter}`, folder: 'm', engine: 'vllm', options });

/** 8 GiB of weights, 128 KiB a token. */
const shape = shapeOfConfig({
  config: {
    ...{ model_type: 'llama', hidden_size: 4096, num_hidden_layers: 32, num_attention_heads: 32, vocab_size: 32_000 },
    ...{ num_key_value_heads: 8, intermediate_size: 11_008, max_position_embeddings: 8192 },
  },
  tensors: [{ name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [32_000, 4096], bytes: 8 * GiB }],
});

const gpu = (index: number, gib: number): Gpu => ({
  index,
  uuid: `GPU-${index}`,
  name: 'NVIDIA L40S',
  total_bytes: gib * GiB,
  used_bytes: 0,
  free_bytes: gib * GiB,
  driver_version: null,
  utilization_percent: null,
});

onBothDatabases((database) => {
  const db = () => database().db;

  /** Only the models of one test count: both databases are shared by all. */
  function memoryOf(
    ids: readonly string[],
    gpus: Gpu[],
    more: { states?: Record<string, ModelState>; lines?: string[] } = {},
  ) {
    return new ModelMemory({
      db: db(),
      inventory: () => Promise.resolve({ source: 'dcgm', usable: true, gpus }),
      listModels: async () => (await listModels(db())).filter(({ id }) => ids.includes(id)),
      stateOf: (id) => more.states?.[id],
      shapeOf: () => Promise.resolve(shape),
      logs: () => Promise.resolve(more.lines ?? []),
      logger: { warn: () => undefined },
    });
  }
  const gpusOf = async (id: string) => (await findModel(db(), id))?.gpus?.map(({ uuid }) => uuid);

  describe('GPUs given to models', () => {
    it('are never more than there are, and the refusal names who holds them', async () => {
      const [a, b, c] = [
        await insertModel(db(), vllm()),
        await insertModel(db(), vllm()),
        await insertModel(db(), vllm()),
      ];
      const memory = memoryOf([a.id, b.id, c.id], [gpu(0, 24), gpu(1, 24)]);
      for (const model of [a, b]) {
        await memory.reserve(model, '0.8.5', () => setWanted(db(), model.id, 'running'));
      }
      expect(new Set([...((await gpusOf(a.id)) ?? []), ...((await gpusOf(b.id)) ?? [])]).size).toBe(2);
      await expect(memory.reserve(c, '0.8.5', started)).rejects.toMatchObject({
        code: 'gpu_memory_held',
        message: expect.stringContaining(`${a.served_name}, ${b.served_name}`),
      });
      expect(await gpusOf(c.id)).toBeUndefined();
      expect((await memory.gpus()).reservations.map(({ served_name }) => served_name)).toEqual([
        a.served_name,
        b.served_name,
      ]);

      await setWanted(db(), a.id, 'stopped');
      await memory.reserve(c, '0.8.5', started);
      expect(await gpusOf(c.id)).toEqual(await gpusOf(a.id));
    });

    it('are given one after the other to models that start at the same moment', async () => {
      const models = await Promise.all(Array.from({ length: 3 }, () => insertModel(db(), vllm())));
      const memory = memoryOf(
        models.map(({ id }) => id),
        [gpu(0, 24), gpu(1, 24)],
      );
      const outcomes = await Promise.allSettled(
        models.map((model) => memory.reserve(model, '0.8.5', () => setWanted(db(), model.id, 'running'))),
      );
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    });

    it('are shared by two models that fit beside each other', async () => {
      const half = { gpu_memory_utilization: 0.45 };
      const [a, b] = [await insertModel(db(), vllm(half)), await insertModel(db(), vllm(half))];
      const memory = memoryOf([a.id, b.id], [gpu(0, 48)]);
      for (const model of [a, b]) {
        await memory.reserve(model, '0.8.5', () => setWanted(db(), model.id, 'running'));
      }
      expect(await gpusOf(b.id)).toEqual(['GPU-0']);
    });

    it('are others for each replica', async () => {
      const model = await insertModel(db(), { ...vllm(), replicas: 2 });
      const memory = memoryOf([model.id], [gpu(0, 24), gpu(1, 24)]);
      await memory.reserve(model, '0.8.5', started);
      const shares = (await findModel(db(), model.id))?.gpus ?? [];
      expect(shares.map(({ uuid, replica }) => [uuid, replica])).toEqual([
        ['GPU-0', 0],
        ['GPU-1', 1],
      ]);
      const three = await insertModel(db(), { ...vllm(), replicas: 3 });
      await expect(
        memoryOf([three.id], [gpu(0, 24), gpu(1, 24)]).reserve(three, '0.8.5', started),
      ).rejects.toMatchObject({
        code: 'gpu_memory_held',
      });
    });

    it('are held by a model that has failed until it is stopped, since it may be tried again', async () => {
      const [a, b] = [await insertModel(db(), vllm()), await insertModel(db(), vllm())];
      const memory = memoryOf([a.id, b.id], [gpu(0, 24)], { states: { [a.id]: 'failed' } });
      await memory.reserve(a, '0.8.5', () => setWanted(db(), a.id, 'running'));
      await expect(memory.reserve(b, '0.8.5', started)).rejects.toThrow(a.served_name);
      await setWanted(db(), a.id, 'stopped');
      await memory.reserve(b, '0.8.5', started);
      expect(await gpusOf(b.id)).toEqual(['GPU-0']);
    });

    it('stay the same from start to start', async () => {
      const a = await insertModel(db(), vllm());
      const memory = memoryOf([a.id], [gpu(0, 48), gpu(1, 24)]);
      await memory.reserve(a, '0.8.5', started);
      expect(await gpusOf(a.id)).toEqual(['GPU-1']);
      const again = memoryOf([a.id], [gpu(0, 24), gpu(1, 24)]);
      await again.reserve((await findModel(db(), a.id)) ?? a, '0.8.5', started);
      expect(await gpusOf(a.id)).toEqual(['GPU-1']);
    });

    it('are not refused where it would not fit anyway: the plan is an estimate', async () => {
      const a = await insertModel(db(), vllm());
      const memory = memoryOf([a.id], [gpu(0, 8)]);
      await memory.reserve(a, '0.8.5', started);
      expect(await gpusOf(a.id)).toEqual(['GPU-0']);
      expect(await memory.plan(a, a)).toMatchObject({ fits: false });
    });

    it('are all of them again where nobody knows any more which there are', async () => {
      const a = await insertModel(db(), vllm());
      await memoryOf([a.id], [gpu(0, 24)]).reserve(a, null, started);
      await memoryOf([a.id], []).reserve(a, null, started);
      expect((await findModel(db(), a.id))?.gpus).toBeUndefined();
    });
  });

  describe('what an engine reported', () => {
    const lines = [
      'INFO 05-30 16:23:28 worker.py:267] model weights take 7.90GiB; non_torch_memory takes 0.15GiB; PyTorch activation peak memory takes 0.40GiB; the rest of the memory reserved for KV Cache is 12.10GiB.',
    ];

    it('is kept beside what was planned, the last one of each model', async () => {
      const a = await insertModel(db(), vllm());
      const memory = memoryOf([a.id], [gpu(0, 24)], { lines });
      await memory.reserve(a, '0.7.3', started);
      memory.hear(a);
      await expect
        .poll(() => findMemoryReport(db(), a.id))
        .toMatchObject({
          reported: { weights: Math.round(7.9 * GiB), cache_tokens: null },
          planned: { weights: 8 * GiB },
        });
      const { plan, report } = await memory.overview(a);
      expect(plan?.devices[0]?.uuid).toBe('GPU-0');
      expect(report?.reported.runtime).toBe(Math.round(0.15 * GiB));
    });

    it('goes with its model, and is none of one that is gone', async () => {
      const a = await insertModel(db(), vllm());
      const none = { weights: 1, kv_cache: null, activations: null, graphs: null, runtime: null, cache_tokens: null };
      const report = { at: '2026-01-01T00:00:00.000Z', planned: null, reported: none };
      await putMemoryReport(db(), a.id, report);
      expect(await findMemoryReport(db(), a.id)).toEqual(report);
      await deleteModel(db(), a.id);
      expect(await findMemoryReport(db(), a.id)).toBeNull();
      await putMemoryReport(db(), a.id, report);
      expect(await findMemoryReport(db(), a.id)).toBeNull();
    });
  });
});
