import { z } from 'zod';
import { ModelFileError, type NamedFile, readWhole, withFile } from './byte-source.ts';

/** A list of labels or of quantised layers makes some configurations long. */
const longestConfigBytes = 8 * 1024 ** 2;
/** 100,000 tensors of the largest models published take some 10 MB. */
const longestIndexBytes = 32 * 1024 ** 2;

/** A small JSON object beside the weights, such as config.json. @throws ModelFileError */
export async function readConfigFile(
  file: NamedFile,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  return readObject(file, longestConfigBytes, signal);
}

/** model.safetensors.index.json: of each tensor the file that holds it. @throws ModelFileError */
export async function readShardIndex(file: NamedFile, signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const { weight_map: named } = await readObject(file, longestIndexBytes, signal);
  if (typeof named !== 'object' || named === null)
    throw new ModelFileError('it has no weight_map that names a file for each tensor', file.name);
  const map = new Map<string, string>();
  // By hand: a schema takes a quarter of a second for the 90,000 tensors of a large model, and nobody has a turn meanwhile.
  for (const [tensor, shard] of Object.entries(named)) {
    const name: unknown = shard;
    if (typeof name !== 'string' || !isPlainShard(name)) {
      const shown = JSON.stringify(name)?.slice(0, 100);
      throw new ModelFileError(`it names ${shown}, which is no file of this folder`, file.name);
    }
    map.set(tensor, name);
  }
  if (map.size === 0) throw new ModelFileError('it names no tensor', file.name);
  return map;
}

const isPlainShard = (name: string) => /^[^/\\\0]+\.safetensors$/.test(name) && name.length <= 255;

async function readObject(
  file: NamedFile,
  longestBytes: number,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  return withFile(file, signal, async (source) => {
    if (source.sizeBytes > longestBytes)
      throw new ModelFileError(`it is longer than ${longestBytes / 1024 ** 2} MiB, which no model needs`);
    return parseObject((await readWhole(source, source.sizeBytes)).toString('utf8'));
  });
}

const anyObject = z.record(z.string(), z.unknown());

/** Python writes Infinity and NaN, which JSON has not: they stand for no value. @throws ModelFileError */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  const parsed = anyObject.safeParse(parse(text) ?? parse(withoutPythonNumbers(text)));
  if (!parsed.success) throw new ModelFileError('it is not a JSON object');
  return parsed.data;
}

/** Step by step and not by one expression: those run out of stack in a long text. */
function withoutPythonNumbers(text: string): string {
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    const outside = text.slice(at, quote === -1 ? text.length : quote);
    pieces.push(outside.replace(/-?\bInfinity\b|\bNaN\b/g, 'null'));
    if (quote === -1) break;
    let end = quote + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    pieces.push(text.slice(quote, end + 1));
    at = end + 1;
  }
  return pieces.join('');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
