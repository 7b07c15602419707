import { readFile } from 'node:fs/promises';
import { CortexError } from '../contract/errors.ts';
import { inventory } from './delta.ts';
import type { PackableModel } from './models.ts';

// Weights alone; context and activations need more. Cortex's memory plan inside is exact, this is the warning before the drive leaves.
const leastOverhead = 1.1;
const architectures: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

/** What will not work on the machine that an inventory describes. @throws CortexError base_invalid */
export async function fitWarnings(
  file: string,
  models: readonly PackableModel[],
  platforms: readonly string[],
): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CortexError('base_invalid', { file, reason: 'it is not there' }, { cause });
  });
  const parsed = inventory.safeParse(parseJson(text));
  if (!parsed.success)
    throw new CortexError('base_invalid', { file, reason: 'it is no inventory of cortex offline inventory' });
  const { host } = parsed.data;
  const warnings: string[] = [];
  const platform = `linux/${architectures[host.architecture] ?? host.architecture}`;
  if (!platforms.includes(platform))
    warnings.push(`The target runs ${platform}; this package is made for ${platforms.join(', ')}.`);
  const gpuBytes = host.gpus.reduce((total, { memory_bytes }) => total + memory_bytes, 0);
  for (const model of models) {
    const weights = model.files.filter(({ path }) => /\.(gguf|safetensors)$/i.test(path));
    const bytes = weights.reduce((total, { sizeBytes }) => total + sizeBytes, 0) * leastOverhead;
    const gb = (value: number) => `${(value / 1e9).toFixed(1)} GB`;
    if (gpuBytes > 0 && bytes > gpuBytes)
      warnings.push(
        `${model.name} needs more than ${gb(bytes)} of GPU memory; the target's ${host.gpus.length} GPUs have ${gb(gpuBytes)}.`,
      );
    else if (gpuBytes === 0 && bytes > host.memory_bytes)
      warnings.push(
        `${model.name} needs more than ${gb(bytes)} of memory; the target has ${gb(host.memory_bytes)} and no GPU.`,
      );
  }
  return warnings;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
