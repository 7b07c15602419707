import { realpath } from 'node:fs/promises';
import { filesOfFolder, resolveFolder } from './folder-files.ts';
import { ModelFileError } from './formats/byte-source.ts';
import { type GgufModel, readGgufModel } from './formats/gguf.ts';
import { readConfigFile, readShardIndex } from './formats/json-file.ts';
import { readShards, type SafetensorsModel } from './formats/safetensors.ts';
import { ggufSets } from './gguf-sets.ts';
import { indexOf, shardSet } from './shard-sets.ts';

/**
 * The metadata and tensors of a GGUF model, of all its parts.
 * @param file the model's file, or the first part of its set
 * @throws CortexError folder_not_found, folder_outside
 * @throws ModelFileError
 */
export async function readGgufOf(root: string, folder: string, file: string, signal?: AbortSignal): Promise<GgufModel> {
  const { files } = await filesOfFolder(await resolveFolder(root, folder), await realpath(root));
  const set = ggufSets(files).find(({ first }) => first === file);
  if (set === undefined) throw new ModelFileError('there is no such model in this folder', file);
  if (set.fault !== null) throw new ModelFileError(set.fault, file);
  return readGgufModel(set.parts, signal);
}

/**
 * The configuration and tensors of a safetensors model, of all its shards.
 * @throws CortexError folder_not_found, folder_outside
 * @throws ModelFileError
 */
export async function readSafetensorsOf(root: string, folder: string, signal?: AbortSignal): Promise<SafetensorsModel> {
  const { files } = await filesOfFolder(await resolveFolder(root, folder), await realpath(root));
  const config = files.find(({ name }) => name === 'config.json');
  if (config === undefined) throw new ModelFileError('it is missing', 'config.json');
  const indexFile = indexOf(files);
  const index = indexFile === undefined ? null : await readShardIndex(indexFile, signal);
  const { shards } = shardSet(files, index);
  return { config: await readConfigFile(config, signal), tensors: await readShards(shards, index, signal) };
}
