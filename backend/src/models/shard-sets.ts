import type { FolderFile } from './folder-files.ts';
import { ModelFileError } from './formats/byte-source.ts';

/** The .safetensors files of one model, and those beside them that are none of it. */
export interface ShardSet {
  readonly shards: readonly FolderFile[];
  readonly others: readonly FolderFile[];
}

const indexName = 'model.safetensors.index.json';

export const indexOf = (files: readonly FolderFile[]): FolderFile | undefined =>
  files.find(({ name }) => name === indexName);

/** LoRA weights stand beside a model, or alone; they are none. */
export const isAdapter = ({ name }: FolderFile): boolean => /^adapter_(model|.*\.adapter)\b.*\.safetensors$/.test(name);

/**
 * Which files are the model: those that the index names; else the one set that there is. Two sets are never mixed: the
 * engine would load both.
 * @throws ModelFileError a missing shard, two sets
 */
export function shardSet(files: readonly FolderFile[], index: ReadonlyMap<string, string> | null): ShardSet {
  const weights = files.filter(({ name }) => name.endsWith('.safetensors'));
  if (index !== null) {
    const named = new Set(index.values());
    const missing = [...named].filter((shard) => !weights.some(({ name }) => name === shard)).sort();
    if (missing.length > 0)
      throw new ModelFileError(
        `${countOf(missing.length, named.size)} missing that ${indexName} names: ${firstOf(missing)}`,
      );
    return {
      shards: weights.filter(({ name }) => named.has(name)),
      others: weights.filter(({ name }) => !named.has(name)),
    };
  }
  const sets = new Map<string, FolderFile[]>();
  for (const file of weights.filter((one) => !isAdapter(one))) {
    const key = keyOf(file.name);
    sets.set(key, [...(sets.get(key) ?? []), file]);
  }
  if (sets.size > 1)
    throw new ModelFileError(
      `there are ${sets.size} sets of weights here (${firstOf([...sets.keys()])}) and no ${indexName} that says which of them is the model: keep one`,
    );
  const [shards = []] = sets.values();
  const [first] = shards;
  const count = Number(shardName.exec(first?.name ?? '')?.[3] ?? 1);
  const there = new Set(shards.map(({ name }) => Number(shardName.exec(name)?.[2] ?? 1)));
  const missing = Array.from({ length: count }, (_, number) => number + 1).filter((number) => !there.has(number));
  if (missing.length > 0)
    throw new ModelFileError(`${countOf(missing.length, count)} missing, the first of them shard ${missing[0]}`);
  return { shards, others: weights.filter((file) => !shards.includes(file)) };
}

const shardName = /^(.*)-(\d{5})-of-(\d{5})\.safetensors$/;

function keyOf(name: string): string {
  const [, stem, , count] = shardName.exec(name) ?? [];
  return stem === undefined || count === undefined ? name : `${stem}-*-of-${count}.safetensors`;
}

const countOf = (missing: number, all: number) => `${missing} of ${all} shards ${missing === 1 ? 'is' : 'are'}`;

const firstOf = (names: readonly string[]) =>
  names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
