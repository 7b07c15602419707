import { basename, dirname, join } from 'node:path';
import { type ModelSource, modelSource, modelSourceFile } from '../../../contract/model-source.ts';
import type { FolderInspection } from '../../../contract/models.ts';
import { type FolderFile, realPathInside } from './folder-files.ts';
import { type NamedFile, readWhole, withFile } from './formats/byte-source.ts';
import { parseObject } from './formats/json-file.ts';

const mostBytes = 64 * 1024;

type Provenance = Pick<FolderInspection, 'license' | 'license_file' | 'source'>;

/**
 * Where a model came from and under which licence, as far as its folder tells it. Whatever can't be read tells nothing.
 * @param path the folder's real path
 * @param realRoot the models folder's
 * @param licenseOfWeights what the weights name themselves
 */
export async function provenanceOf(
  path: string,
  realRoot: string,
  files: readonly FolderFile[],
  licenseOfWeights: string | null,
): Promise<Provenance> {
  const written = await writtenSource(path, realRoot);
  const readme = files.find(({ name }) => name.toLowerCase() === 'readme.md');
  const card = readme === undefined ? null : licenseOfCard(await beginning(readme));
  const file = files.find(({ name }) => /^(licen[cs]e|notice)(\.|$)/i.test(name));
  const repository = written?.repository ?? repositoryOfCache(path);
  const revision = written?.revision ?? revisionOfCache(path) ?? (await revisionOfDownload(path, realRoot, files));
  return {
    license: written?.licence ?? card ?? licenseOfWeights?.slice(0, 128) ?? null,
    license_file: file?.name ?? null,
    source: repository === null && revision === null ? null : { repository, revision },
  };
}

/** What Cortex itself wrote when it brought the model. */
async function writtenSource(path: string, realRoot: string): Promise<ModelSource | null> {
  const text = await hidden(join(path, modelSourceFile), realRoot);
  try {
    return modelSource.safeParse(parseObject(text)).data ?? null;
  } catch {
    return null;
  }
}

/** The licence in the YAML at the head of a model card; `other` says its name in a field of its own. */
export function licenseOfCard(text: string): string | null {
  const head = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? '';
  const field = (name: string) => {
    const value = new RegExp(`^${name}:[ \\t]*(["']?)([\\w.+ -]{1,128})\\1[ \\t]*\\r?$`, 'm').exec(head)?.[2]?.trim();
    return value === undefined || value === '' ? null : value;
  };
  const license = field('license');
  return license === 'other' ? (field('license_name') ?? license) : license;
}

const commit = /^[0-9a-f]{40}$/;

/** huggingface_hub's cache: models--org--name/snapshots/<commit>. */
function repositoryOfCache(path: string): string | null {
  if (basename(dirname(path)) !== 'snapshots') return null;
  const [, organisation, name] = /^models--(.+?)--(.+)$/.exec(basename(dirname(dirname(path)))) ?? [];
  return organisation === undefined || name === undefined ? null : `${organisation}/${name}`;
}

const revisionOfCache = (path: string): string | null =>
  basename(dirname(path)) === 'snapshots' && commit.test(basename(path)) ? basename(path) : null;

/** huggingface_hub notes the commit of each file that it downloads to a folder, on the first line. */
async function revisionOfDownload(
  path: string,
  realRoot: string,
  files: readonly FolderFile[],
): Promise<string | null> {
  const weights = files.find(({ name }) => /\.(gguf|safetensors)$/.test(name));
  if (weights === undefined) return null;
  const text = await hidden(join(path, '.cache/huggingface/download', `${weights.name}.metadata`), realRoot);
  const [first = ''] = text.split('\n');
  return commit.test(first) ? first : null;
}

/** A file that is not among the folder's own, unless a link on the way to it leads out of the models folder. */
async function hidden(path: string, realRoot: string): Promise<string> {
  const real = await realPathInside(path, realRoot);
  return real === null ? '' : beginning({ name: basename(path), path: real });
}

/** The beginning of a small text file; nothing where there is none. */
function beginning(file: NamedFile): Promise<string> {
  return withFile(file, undefined, async (source) =>
    (await readWhole(source, Math.min(source.sizeBytes, mostBytes))).toString('utf8'),
  ).catch(() => '');
}
