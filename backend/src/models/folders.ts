import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Candidate, FolderInspection, FolderSummary } from '../../../contract/models.ts';
import { type FolderFile, filesOfFolder, resolveFolder } from './folder-files.ts';
import { GgufError, readGgufFacts } from './gguf.ts';

const deepest = 4;
const mostFolders = 2000;

/** Folders below the root that hold weights, by name. A root that is not there yet has none. */
export async function listModelFolders(root: string, usedBy: (folder: string) => string[]): Promise<FolderSummary[]> {
  const found: FolderSummary[] = [];
  const realRoot = await realpath(root).catch(() => root);
  const visit = async (folder: string, depth: number): Promise<void> => {
    if (found.length >= mostFolders) return;
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
    const { files } = await filesOfFolder(join(root, folder), realRoot).catch(() => ({ files: [] }));
    const formats = (['gguf', 'safetensors'] as const).filter((format) =>
      files.some((file) => file.name.endsWith(`.${format}`)),
    );
    if (folder !== '' && formats.length > 0) {
      const sizeBytes = files.reduce((total, file) => total + file.sizeBytes, 0);
      found.push({ folder, sizeBytes, formats, used_by: usedBy(folder) });
    }
    if (depth === deepest) return;
    for (const entry of entries) {
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        await visit(folder === '' ? entry.name : `${folder}/${entry.name}`, depth + 1);
    }
  };
  await visit('', 0);
  return found.sort((a, b) => a.folder.localeCompare(b.folder));
}

/** What a folder holds and which engine can run it. @throws CortexError folder_not_found, folder_outside */
export async function inspectModelFolder(root: string, folder: string): Promise<FolderInspection> {
  const path = await resolveFolder(root, folder);
  const { files, leaving } = await filesOfFolder(path, await realpath(root));
  const problems: FolderInspection['problems'] = leaving.map((file) => ({
    file,
    message: 'This is a link to a file outside of the models folder: copy the file itself here.',
  }));
  const candidates = [
    ...(await ggufCandidates(path, files, problems)),
    ...safetensorsCandidate(folder, files, problems),
  ];
  if (candidates.length === 0 && problems.length === 0) {
    problems.push({ file: null, message: 'There is no .gguf and no .safetensors file in this folder.' });
  }
  const license = files.find((file) => /^(licen[cs]e|notice)(\.|$)/i.test(file.name));
  return {
    folder,
    candidates,
    problems,
    files: files.map(({ name, sizeBytes }) => ({ name, sizeBytes })),
    license_file: license?.name ?? null,
  };
}

const partOfSet = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

async function ggufCandidates(
  path: string,
  files: readonly FolderFile[],
  problems: FolderInspection['problems'],
): Promise<Candidate[]> {
  const sets = new Map<string, FolderFile[]>();
  for (const file of files) {
    if (!file.name.endsWith('.gguf')) continue;
    const set = partOfSet.exec(file.name);
    const key = set === null ? file.name : `${set[1]}-of-${set[3]}`;
    sets.set(key, [...(sets.get(key) ?? []), file]);
  }
  const candidates: Candidate[] = [];
  for (const parts of sets.values()) {
    const first = parts[0];
    if (first === undefined) continue;
    const fault = faultOfSet(first.name, parts);
    if (fault !== null) {
      problems.push({ file: first.name, message: fault });
      continue;
    }
    try {
      const facts = await readGgufFacts(join(path, first.name));
      candidates.push({
        engine: 'llamacpp',
        // BERT-like architectures and those that name a pooling only embed.
        task: /bert|embed/i.test(facts.architecture ?? '') || (facts.poolingType ?? 0) > 0 ? 'embed' : 'generate',
        file: first.name,
        label: facts.name ?? first.name.replace(/(-\d{5}-of-\d{5})?\.gguf$/, ''),
        sizeBytes: parts.reduce((total, part) => total + part.sizeBytes, 0),
        parts: parts.length,
        architecture: facts.architecture,
        context_length: facts.contextLength,
        quantization: facts.quantization,
      });
    } catch (error) {
      if (!(error instanceof GgufError)) throw error;
      problems.push({ file: first.name, message: `This is not a GGUF file that can be loaded: ${error.message}.` });
    }
  }
  return candidates;
}

function faultOfSet(name: string, parts: readonly FolderFile[]): string | null {
  const expected = Number(partOfSet.exec(name)?.[3] ?? 1);
  if (expected === 0) return 'By its name this set has no part: the file was renamed.';
  if (expected === 1) return null;
  const there = new Set(parts.map((part) => Number(partOfSet.exec(part.name)?.[2])));
  let missing = 0;
  let firstMissing = 0;
  for (let part = expected; part >= 1; part -= 1) {
    if (there.has(part)) continue;
    missing += 1;
    firstMissing = part;
  }
  return missing === 0
    ? null
    : `This set has ${expected} parts; ${missing} missing, the first of them part ${firstMissing}.`;
}

function safetensorsCandidate(
  folder: string,
  files: readonly FolderFile[],
  problems: FolderInspection['problems'],
): Candidate[] {
  const weights = files.filter((file) => file.name.endsWith('.safetensors'));
  if (weights.length === 0) return [];
  const has = (name: string) => files.some((file) => file.name === name);
  if (!has('config.json')) {
    problems.push({ file: 'config.json', message: 'config.json is missing: vLLM reads the architecture from it.' });
    return [];
  }
  if (!['tokenizer.json', 'tokenizer.model', 'vocab.json', 'tekken.json'].some(has)) {
    problems.push({
      file: 'tokenizer.json',
      message: 'There is no tokenizer (tokenizer.json or tokenizer.model): vLLM would look for it on the internet.',
    });
    return [];
  }
  return [
    {
      engine: 'vllm',
      task: 'generate',
      file: null,
      label: folder.split('/').at(-1) ?? folder,
      sizeBytes: weights.reduce((total, file) => total + file.sizeBytes, 0),
      parts: weights.length,
      architecture: null,
      context_length: null,
      quantization: null,
    },
  ];
}
