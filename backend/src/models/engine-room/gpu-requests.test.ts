import { describe, expect, it } from 'vitest';
import type { GpuShare } from '../../../../contract/memory.ts';
import { newModel } from '../../../../contract/models.ts';
import type { ModelRecord } from '../../db/model-records.ts';
import { containerSpec } from '../container-spec.ts';

const record = (gpus?: GpuShare[]): ModelRecord => ({
  ...newModel.parse({ name: 'm', served_name: 'm', folder: 'm', engine: 'vllm' }),
  id: 'mdl_1',
  wanted: 'running',
  createdAt: '2026-01-01T00:00:00.000Z',
  version: 1,
  ...(gpus === undefined ? {} : { gpus }),
});
const specOf = (model: ModelRecord, gpus = true, replica = 0) =>
  containerSpec(model, replica, { image: 'vllm/vllm-openai:v0.6.3', modelsDirHost: '/models', network: 'n', gpus });
const requests = (model: ModelRecord, gpus = true, replica = 0) =>
  specOf(model, gpus, replica).HostConfig?.DeviceRequests;
const share = (uuid: string, replica = 0) => ({ uuid, bytes: 1, replica });

describe('a container', () => {
  it('sees the GPUs that its model was given, and no other', () => {
    expect(requests(record([share('GPU-b'), share('GPU-a')]))).toEqual([
      { Driver: 'nvidia', DeviceIDs: ['GPU-b', 'GPU-a'], Capabilities: [['gpu']] },
    ]);
  });

  it('of a replica sees the GPUs of that replica', () => {
    const two = record([share('GPU-a'), share('GPU-b', 1)]);
    expect(requests(two, true, 1)).toMatchObject([{ DeviceIDs: ['GPU-b'] }]);
  });

  it('sees all where nobody knows which there are', () => {
    expect(requests(record())).toEqual([{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }]);
  });

  it('sees none where its model keeps to the CPU, or Docker has no runtime for them', () => {
    expect(requests(record([]))).toBeUndefined();
    expect(requests(record([share('GPU-a')]), false)).toBeUndefined();
  });

  it('is made anew where its model gets other GPUs, and not for another amount of the same', () => {
    const [one, other] = [record([share('GPU-a')]), record([share('GPU-b')])].map((model) => specOf(model).specHash);
    expect(one).not.toBe(other);
    expect(specOf(record([{ uuid: 'GPU-a', bytes: 2, replica: 0 }])).specHash).toBe(one);
  });
});
