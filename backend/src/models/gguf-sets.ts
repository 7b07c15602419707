import type { FolderFile } from './folder-files.ts';

/** The files of one GGUF model: one, or the parts of a set in their order. */
export interface GgufSet {
  /** The name of the file that the engine is given. */
  readonly first: string;
  /** What the files' names share: `Model-Q4_K_M`. */
  readonly stem: string;
  readonly parts: readonly FolderFile[];
  /** Why the set can't be loaded, by the names of its files alone. */
  readonly fault: string | null;
}

/** llama.cpp's llama_split_path makes the parts' names so: `%s-%05d-of-%05d.gguf`. */
const partOfSet = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

/** Groups a folder's .gguf files into models. Sets of different names or counts are never mixed. */
export function ggufSets(files: readonly FolderFile[]): GgufSet[] {
  const groups = new Map<string, { stem: string; expected: number; parts: Map<number, FolderFile> }>();
  for (const file of files) {
    if (!file.name.endsWith('.gguf')) continue;
    const [, stem = file.name.slice(0, -'.gguf'.length), number = '1', count = '1'] = partOfSet.exec(file.name) ?? [];
    const key = partOfSet.test(file.name) ? `${stem}-of-${count}` : file.name;
    const group = groups.get(key) ?? { stem, expected: Number(count), parts: new Map() };
    group.parts.set(Number(number), file);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ stem, expected, parts }) => {
    const ordered = [...parts].sort(([a], [b]) => a - b).map(([, file]) => file);
    return { first: ordered[0]?.name ?? '', stem, parts: ordered, fault: faultOf(expected, new Set(parts.keys())) };
  });
}

function faultOf(expected: number, there: ReadonlySet<number>): string | null {
  if (expected === 0) return 'By its name this set has no part: the file was renamed.';
  const missing = Array.from({ length: expected }, (_, index) => index + 1).filter((part) => !there.has(part));
  const [firstMissing] = missing;
  if (firstMissing !== undefined)
    return `This set has ${expected} parts; ${missing.length} missing, the first of them part ${firstMissing}.`;
  const surplus = [...there].find((part) => part < 1 || part > expected);
  return surplus === undefined ? null : `This set has ${expected} parts, and one file says that it is part ${surplus}.`;
}
