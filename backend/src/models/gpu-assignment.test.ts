import { describe, expect, it } from 'vitest';
import type { Gpu } from '../../../contract/memory.ts';
import { GiB } from '../engines/memory/layout.ts';
import { memoryModel } from '../engines/memory/options.ts';
import type { ModelShape } from '../engines/memory/shape.ts';
import { chooseGpus, freeBytes, type GpuHolder, gpuRooms } from './gpu-assignment.ts';

const gpu = (index: number, totalGiB: number, usedGiB = 0): Gpu => ({
  index,
  uuid: `GPU-${index}`,
  name: 'NVIDIA L40S',
  total_bytes: totalGiB * GiB,
  used_bytes: usedGiB * GiB,
  free_bytes: (totalGiB - usedGiB) * GiB,
  driver_version: null,
  utilization_percent: null,
});
const holder = (name: string, stays: boolean, ...shares: [string, number][]): GpuHolder => ({
  modelId: name,
  servedName: name,
  stays,
  shares: shares.map(([uuid, gib]) => ({ uuid, bytes: gib * GiB, replica: 0 })),
});
const host = { totalBytes: 256 * GiB, availableBytes: 200 * GiB };

/** 16 GiB of weights in 32 layers, 128 KiB a token. */
const shape: ModelShape = {
  architecture: 'llama',
  contextLength: 8192,
  hidden: 4096,
  heads: 32,
  feedForward: 14_336,
  vocabulary: 128_256,
  layers: Array.from({ length: 32 }, () => ({
    kind: 'attention',
    kvHeads: 8,
    keySize: 128,
    valueSize: 128,
    window: null,
  })),
  experts: null,
  weights: {
    embeddingBytes: GiB,
    outputBytes: GiB,
    otherBytes: 0,
    layerBytes: Array.from({ length: 32 }, () => 0.4375 * GiB),
    expertBytes: Array.from({ length: 32 }, () => 0),
  },
  weightNumberBytes: 2,
};
const question = (engine: 'vllm' | 'llamacpp', options: object = {}) => ({
  model: memoryModel({ engine, options }),
  shape,
  version: null,
});
const ids = (rooms: readonly { uuid: string }[]) => rooms.map(({ uuid }) => uuid);

describe('the room of a GPU', () => {
  it('is what models that stay and other programs leave', () => {
    const [room] = gpuRooms([gpu(0, 48, 13)], [holder('a', true, ['GPU-0', 10])]);
    expect((room?.availableBytes ?? 0) / GiB).toBe(35);
  });

  it('counts a reservation before its model uses it', () => {
    const [room] = gpuRooms([gpu(0, 48, 0)], [holder('a', true, ['GPU-0', 40])]);
    expect((room?.availableBytes ?? 0) / GiB).toBe(8);
  });

  it('has again what a model on its way out still uses', () => {
    const [room] = gpuRooms([gpu(0, 48, 40)], [holder('a', false, ['GPU-0', 40])]);
    expect((room?.availableBytes ?? 0) / GiB).toBe(48);
  });
});

describe('GPUs for a model', () => {
  const rooms = (...gpus: Gpu[]) => gpuRooms(gpus, []);

  it('are the smallest one that it fits on', () => {
    expect(ids(chooseGpus(question('llamacpp'), rooms(gpu(0, 80), gpu(1, 24), gpu(2, 12)), host, []))).toEqual([
      'GPU-1',
    ]);
    expect(ids(chooseGpus(question('vllm'), rooms(gpu(0, 80), gpu(1, 24), gpu(2, 12)), host, []))).toEqual(['GPU-1']);
  });

  it('are those of its last start where it fits there', () => {
    expect(ids(chooseGpus(question('llamacpp'), rooms(gpu(0, 80), gpu(1, 24)), host, ['GPU-0']))).toEqual(['GPU-0']);
    expect(ids(chooseGpus(question('llamacpp'), rooms(gpu(0, 8), gpu(1, 24)), host, ['GPU-0']))).toEqual(['GPU-1']);
    expect(ids(chooseGpus(question('llamacpp'), rooms(gpu(1, 24)), host, ['GPU-gone']))).toEqual(['GPU-1']);
  });

  it('are as few as it fits on, in the order of the machine', () => {
    const three = rooms(gpu(0, 12), gpu(1, 4), gpu(2, 12));
    expect(ids(chooseGpus(question('llamacpp'), three, host, []))).toEqual(['GPU-0', 'GPU-2']);
  });

  it('are as many as its options say', () => {
    const four = rooms(gpu(0, 24), gpu(1, 24), gpu(2, 24), gpu(3, 24));
    expect(chooseGpus(question('vllm', { tensor_parallel_size: 2 }), four, host, [])).toHaveLength(2);
    expect(chooseGpus(question('llamacpp', { tensor_split: [1, 1, 1] }), four, host, [])).toHaveLength(3);
    expect(chooseGpus(question('llamacpp', { split_mode: 'none' }), four, host, [])).toHaveLength(1);
  });

  it('are none where the engine keeps to the CPU', () => {
    expect(chooseGpus(question('llamacpp', { gpu_layers: 0 }), rooms(gpu(0, 80)), host, [])).toEqual([]);
  });

  it('are those with the most room where it fits nowhere', () => {
    expect(ids(chooseGpus(question('vllm'), rooms(gpu(0, 8), gpu(1, 12)), host, []))).toEqual(['GPU-1']);
  });
});

describe('free memory', () => {
  it('is told for each GPU, and is none of one that is gone', () => {
    const inventory = { source: 'dcgm' as const, usable: true, gpus: [gpu(0, 48, 8)] };
    expect(freeBytes(inventory, ['GPU-0', 'GPU-gone'])).toEqual([40 * GiB, 0]);
  });
});
