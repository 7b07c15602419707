import { expect, it } from 'vitest';
import { loadingProgress } from './loading-progress.ts';

it.each([
  [
    [
      'Starting to load model /model...',
      'Loading safetensors checkpoint shards:  25% Completed | 1/4 [00:01<00:03,  1.1s/it]',
    ],
    'reading the weights: 25 %, 1/4 parts',
  ],
  [['Capturing CUDA graph shapes:  43%|####3     | 15/35 [00:05<00:06]'], 'capturing CUDA graphs: 43 %'],
  [['load_tensors: loading model tensors, this can take a while... (mmap = true)'], 'reading the weights'],
  [
    ['load_tensors: loading model tensors', 'common_init_from_params: warming up the model with an empty run'],
    'warming up',
  ],
  [['INFO: Started server process'], null],
  [[], null],
])('of %j it tells %s', (lines, told) => {
  expect(loadingProgress(lines)).toBe(told);
});
