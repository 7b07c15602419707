import { describe, expect, it } from 'vitest';
import { type Benchmark, benchmark } from '../../../contract/benchmarks.ts';
import { benchmarkDifferences, changeInWords } from './benchmark-differences.ts';

const run = (subject: object = {}, settings: object = {}): Benchmark =>
  benchmark.parse({
    ...{
      id: 'b',
      model_id: 'm',
      username: 'ada',
      state: 'done',
      ended_at: null,
      error: null,
      steps: [],
      progress: null,
    },
    started_at: '2026-11-28T00:00:00.000Z',
    settings,
    subject: {
      ...{ served_name: 'tiny', engine: 'llamacpp', task: 'generate', model_version: 1, folder: 'f', file: 'f.gguf' },
      ...{ replicas: 1, options: { context_size: null, extra_env: {} }, image: 'i', image_id: 'sha256:1' },
      ...{ engine_version: 'b1', gpus: [], cpu: '2 × test' },
      ...subject,
    },
  });

describe('two runs', () => {
  it('differ in nothing where both measured the same, however often the model was saved between them', () => {
    expect(benchmarkDifferences(run(), run({ model_version: 7 }))).toEqual([]);
  });

  it('differ in single options, settings and what they ran on', () => {
    const changed = run({ options: { context_size: 4096, extra_env: {} }, gpus: ['L4', 'L4'] }, { seconds: 5 });
    expect(benchmarkDifferences(run(), changed)).toEqual([
      { field: 'seconds', here: '15', there: '5' },
      { field: 'gpus', here: 'none', there: 'L4, L4' },
      { field: 'context size', here: 'default', there: '4096' },
    ]);
  });
});

describe('a change', () => {
  it('is told in percent of what was before', () => {
    expect(changeInWords(50, 60)).toBe('+20 %');
    expect(changeInWords(60, 59)).toBe('-1.7 %');
    expect(changeInWords(null, 5)).toBe('–');
    expect(changeInWords(0, 5)).toBe('–');
  });
});
