import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import type { BillModel } from './bill.ts';
import { sha256OfFile, syncFolder } from './durable-file.ts';
import type { Report } from './events.ts';
import { writeModelSource } from './model-source.ts';
import type { PackageReader } from './package-reader.ts';

export interface PlaceOptions {
  readonly reader: PackageReader;
  readonly modelsDir: string;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Puts a model's files below the models folder. On the same file system the bytes are shared (hard link of a package that
 * stands on this machine's disk, else a reflink); from a medium they are copied. Whatever the way, the sum was checked, and a
 * file has its name only when it is whole. A file that is there with the same sum stays; with another one nothing is touched.
 * @returns what happened to each file
 * @throws CortexError models_differ, base_missing, package_file_*
 */
export async function placeModel(model: BillModel, options: PlaceOptions): Promise<'new' | 'present'> {
  const { reader, modelsDir, report, signal } = options;
  const folder = join(modelsDir, model.name);
  const missing: BillModel['files'] = [];
  for (const file of model.files) {
    const path = join(folder, file.path);
    const found = await lstat(path).catch(() => null);
    if (found === null) missing.push(file);
    else if (!found.isFile() || found.size !== file.sizeBytes || (await sha256OfFile(path)) !== file.sha256)
      throw new CortexError('models_differ', { model: model.name, file: file.path, path });
  }
  const lacking = missing.filter(({ packed }) => !packed);
  if (lacking.length > 0) {
    const base = reader.bill.base;
    const names = lacking.map(({ path }) => `${model.name}/${path}`).join(', ');
    throw new CortexError('base_missing', {
      base: `${base?.kind ?? 'package'} ${base?.id.slice(0, 12) ?? ''}`,
      lacking: names,
    });
  }
  for (const file of missing) {
    if (signal?.aborted) throw new CortexError('interrupted', {});
    await placeFile(`models/${model.name}/${file.path}`, file, join(folder, file.path), reader, report);
  }
  await writeModelSource(folder, model);
  return missing.length === 0 ? 'present' : 'new';
}

async function placeFile(
  name: string,
  { sha256, sizeBytes }: BillModel['files'][number],
  target: string,
  reader: PackageReader,
  report: Report,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const partial = `${target}.partial`;
  await rm(partial, { force: true });
  try {
    const source = reader.pathOf(name);
    const shared = source !== null && (await share(source, partial));
    // What is shared is checked in its new place: those are the bytes that will be served.
    if (shared) await checkShared(partial, sha256, name, (bytes) => report({ kind: 'bytes', file: name, bytes }));
    else await copyChecked(name, partial, sizeBytes, sha256, reader, report);
    await rename(partial, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** One file system, the same bytes: a reflink where it can, else a hard link. */
async function share(source: string, target: string): Promise<boolean> {
  try {
    await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    await rm(target, { force: true });
  }
  return link(source, target).then(
    () => true,
    () => false,
  );
}

async function checkShared(
  path: string,
  sha256: string,
  name: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if ((await sha256OfFile(path, onBytes)) === sha256) return;
  throw new CortexError('package_file_altered', { file: name, detail: 'its SHA-256 is not the one in manifest.json.' });
}

async function copyChecked(
  name: string,
  target: string,
  sizeBytes: number,
  sha256: string,
  reader: PackageReader,
  report: Report,
): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(target, 'wx', 0o644);
  try {
    let at = 0;
    for await (const bytes of reader.stream(name)) {
      hash.update(bytes);
      for (let done = 0; done < bytes.length; )
        done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      at += bytes.length;
      report({ kind: 'bytes', file: name, bytes: bytes.length });
    }
    await file.sync();
    if (at !== sizeBytes || hash.digest('hex') !== sha256)
      throw new CortexError('package_file_altered', {
        file: name,
        detail: 'its SHA-256 is not the one in manifest.json.',
      });
  } finally {
    await file.close();
  }
}
