import { spawn } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeOfGguf } from '../../backend/src/engines/memory/gguf-shape.ts';
import { memoryModel } from '../../backend/src/engines/memory/options.ts';
import { figuresOf, planMemory } from '../../backend/src/engines/memory/plan.ts';
import { reportedMemory } from '../../backend/src/engines/memory/reported.ts';
import { readGgufModel } from '../../backend/src/models/formats/gguf.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { hasLlama, llamaPackages } from './llama-process.ts';

/** Loads the model with the real llama.cpp of this machine, which writes what it takes. */
const load = `
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
const [modelPath, contextSize, sequences, flash] = process.argv.slice(2);
const logger = (_level, line) => console.log(line);
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.debug, logger });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Number(contextSize), sequences: Number(sequences), threads: 1, flashAttention: flash === 'on', batchSize: 512,
});
// Its lines come after the call that they speak of, so it is taken down in order and not cut off.
await context.dispose();
await model.dispose();
await llama.dispose();
`;

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cortex-llama-memory-'));
  await writeTinyModel(join(dir, 'tiny.gguf'));
  await writeFile(join(dir, 'load.mjs'), load);
  await symlink(llamaPackages, join(dir, 'node_modules'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const computingTolerance = 0.05;

describe.runIf(hasLlama)('the plan of a model on a real llama.cpp', () => {
  it.each([
    [4096, 1, 'off'],
    [4096, 1, 'on'],
    [4096, 2, 'off'],
    [8192, 1, 'on'],
  ] as const)(
    'is what it says that it took: %d tokens, %d slots, flash attention %s',
    async (context, slots, flash) => {
      const path = join(dir, 'tiny.gguf');
      const args = [join(dir, 'load.mjs'), path, String(context / slots), String(slots), flash];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const reported = reportedMemory('llamacpp', (await text(child.stdout)).split('\n'));

      const shape = shapeOfGguf(await readGgufModel([{ name: 'tiny.gguf', path }]));
      if (shape === null) throw new Error('the tiny model has no shape');
      const options = { context_size: context, parallel: slots, flash_attention: flash };
      const room = { gpus: [], host: { totalBytes: 2 ** 40, availableBytes: 2 ** 40 } };
      const planned = figuresOf(
        planMemory({ model: memoryModel({ engine: 'llamacpp', options }), shape, version: null, room }),
      );
      expect(planned.kv_cache).toBe(reported?.kv_cache);
      expect(planned.cache_tokens).toBe(reported?.cache_tokens);
      // It writes two decimals of a MiB.
      expect(Math.abs((planned.weights ?? 0) - (reported?.weights ?? 0))).toBeLessThan(0.01 * 1024 ** 2);
      const error = (planned.activations ?? 0) / (reported?.activations ?? 1) - 1;
      expect(Math.abs(error), `computing: ${(100 * error).toFixed(1)} %`).toBeLessThanOrEqual(computingTolerance);
    },
  );
});
