import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { fileName } from './bill.ts';
import { type HubClient, type HubFile, type HubModel, parseHubReference } from './hub.ts';
import { type Member, makeMember, memberOf, type OpenRange } from './member.ts';

/** A model that goes into the package, with a way to get each file's bytes. */
export interface PackableModel {
  /** Its folder below models/ and later below CORTEX_MODELS_DIR. */
  readonly name: string;
  readonly source: string;
  readonly revision: string | null;
  readonly licence: string | null;
  readonly files: readonly ModelFile[];
  /** What would be missed on the other side. */
  readonly warnings: readonly string[];
}

export interface ModelFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Where it is known before the bytes are read. */
  readonly sha256: string | null;
  readonly member: Member;
}

const skipped = /(^|\/)(\.git|\.cache|\.DS_Store)(\/|$)|\.(lock|incomplete|partial)$/;
const mostFiles = 10_000;
/** What hubs keep in git itself is smaller. */
const smallFileBytes = 32 * 1024 * 1024;

/**
 * `hf:org/name@revision` or a path to a folder or a .gguf file.
 * @throws CortexError option_invalid, folder_without_model, and the hub's
 */
export function openModel(
  model: string | { readonly path: string; readonly name: string },
  hub: HubClient,
  pinnedRevision?: string,
): Promise<PackableModel> {
  if (typeof model !== 'string') return openFolder(model.path, model.name);
  return model.startsWith('hf:') ? openHubModel(model, hub, pinnedRevision) : openFolder(model);
}

async function openHubModel(text: string, hub: HubClient, pinnedRevision?: string): Promise<PackableModel> {
  const { name, revision } = parseHubReference(text.slice('hf:'.length));
  const model = await hub.resolve(name, pinnedRevision ?? revision);
  const folder = packageName(name.split('/').at(-1) ?? name, text);
  const wanted = model.files.filter(({ path }) => !skipped.test(path) && path !== '.gitattributes');
  const files: ModelFile[] = [];
  for (const file of wanted) {
    const packaged = packageName(`models/${folder}/${file.path}`, text);
    const member =
      file.sha256 === null ? await smallHubFile(hub, model, file, packaged) : hubMember(hub, model, file, packaged);
    files.push({ path: file.path, sizeBytes: file.sizeBytes, sha256: file.sha256, member });
  }
  const paths = files.map(({ path }) => path);
  const warnings = missingParts(paths, folder);
  return { name: folder, source: `hf:${name}`, revision: model.revision, licence: model.licence, files, warnings };
}

/** Weights: the hub tells their SHA-256, which is compared while they come. */
function hubMember(hub: HubClient, model: HubModel, file: HubFile, name: string): Member {
  const digest = file.sha256 === null ? null : `sha256:${file.sha256}`;
  const key = digest ?? `hub:${model.name}@${model.revision}/${file.path}`;
  const { sizeBytes } = file;
  const open: OpenRange = (from, to) => hub.open(model, file, from, to);
  const blobs = sizeBytes === 0 ? [] : [{ offset: 0, sizeBytes, digest, key, open, splittable: true }];
  return makeMember({ name, sizeBytes, pieces: [], blobs });
}

/** Configuration and tokenizers lie in git, whose sum is over the whole with a header: they are fetched at once and compared. */
async function smallHubFile(hub: HubClient, model: HubModel, file: HubFile, name: string): Promise<Member> {
  const { sizeBytes, gitBlobId } = file;
  if (gitBlobId === null || sizeBytes > smallFileBytes) return hubMember(hub, model, file, name);
  const parts: Buffer[] = [];
  for await (const part of hub.open(model, file, 0, sizeBytes)) parts.push(part);
  const bytes = Buffer.concat(parts);
  const found = createHash(gitBlobId.length === 40 ? 'sha1' : 'sha256')
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest('hex');
  if (found !== gitBlobId)
    throw new CortexError('digest_mismatch', { what: `${model.name}/${file.path}`, expected: gitBlobId, found });
  return memberOf(name, bytes);
}

async function openFolder(text: string, name?: string): Promise<PackableModel> {
  const path = resolve(text);
  const found = await stat(path).catch(() => null);
  if (found === null) {
    const allowed = 'hf:org/name@revision, or a folder or .gguf file that is there';
    throw new CortexError('option_invalid', { option: '--model', value: text, allowed });
  }
  const folder = packageName(
    name ?? (found.isDirectory() ? basename(path) : basename(path).replace(/\.gguf$/i, '')),
    text,
  );
  const all = found.isDirectory() ? await walk(path) : [path];
  const files: ModelFile[] = [];
  const warnings: string[] = [];
  for (const file of all) {
    const inside = found.isDirectory() ? relative(path, file) : basename(path);
    if (skipped.test(inside)) continue;
    const { size, mtimeMs } = await stat(file);
    const problem = await truncationOf(file, size);
    if (problem !== null) warnings.push(`${folder}/${inside}: ${problem}`);
    const key = `path:${await realpath(file)}:${size}:${mtimeMs}`;
    const blob = { offset: 0, sizeBytes: size, digest: null, key, open: openFile(file), splittable: true };
    const member = packageName(`models/${folder}/${inside}`, text);
    files.push({
      path: inside,
      sizeBytes: size,
      sha256: null,
      member: makeMember({ name: member, sizeBytes: size, pieces: [], blobs: size === 0 ? [] : [blob] }),
    });
  }
  if (files.length === 0) throw new CortexError('folder_without_model', { folder: text, reason: 'it is empty' });
  const index = join(path, 'model.safetensors.index.json');
  warnings.push(
    ...missingParts(
      files.map((file) => file.path),
      folder,
    ),
    ...(await missingShards(index, files, folder)),
  );
  return { name: folder, source: 'path', revision: null, licence: null, files, warnings };
}

const openFile = (file: string) => (from: number, to: number) =>
  createReadStream(file, { start: from, end: to - 1, highWaterMark: 1024 * 1024 });

function packageName(name: string, option: string): string {
  const parsed = fileName.safeParse(name.replaceAll(' ', '_'));
  if (parsed.success) return parsed.data;
  const allowed = 'names of letters, digits, . _ - + @ = and ,';
  throw new CortexError('option_invalid', { option: '--model', value: `${option} (${name.slice(0, 200)})`, allowed });
}

async function walk(dir: string): Promise<string[]> {
  const files: string[] = [];
  const folders = [dir];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (const entry of (await readdir(at)).sort()) {
      const path = join(at, entry);
      // Links count as what they lead to: the hub's own cache keeps every file behind one.
      const found = await stat(path).catch(() => null);
      if (found?.isDirectory() && !skipped.test(`${entry}/`)) folders.push(path);
      else if (found?.isFile()) files.push(path);
      if (files.length + folders.length > mostFiles)
        throw new CortexError('folder_without_model', { folder: dir, reason: `it has over ${mostFiles} files` });
    }
  }
  return files.sort();
}

/** What a server of the model would look for and not find: better known before the drive leaves. */
export function missingParts(paths: readonly string[], model: string): string[] {
  const names = new Set(paths.map((path) => basename(path)));
  const warnings: string[] = [];
  const weights = paths.filter((path) => /\.(gguf|safetensors)$/i.test(path));
  if (weights.length === 0) warnings.push(`${model}: there are no weights (.gguf or .safetensors) in it`);
  if (weights.some((path) => path.endsWith('.safetensors'))) {
    if (!names.has('config.json')) warnings.push(`${model}: config.json is missing; vLLM can't start without it`);
    const tokenizers = ['tokenizer.json', 'tokenizer.model', 'tekken.json', 'vocab.json', 'spiece.model'];
    if (!tokenizers.some((name) => names.has(name)))
      warnings.push(`${model}: there is no tokenizer (tokenizer.json or tokenizer.model)`);
  }
  const shard = /^(.*)-(\d{5})-of-(\d{5})\.(gguf|safetensors)$/i;
  for (const path of weights) {
    const [, stem = '', , total = '0', type = ''] = shard.exec(path) ?? [];
    if (stem === '') continue;
    const lacking = Array.from(
      { length: Number(total) },
      (_, index) => `${stem}-${String(index + 1).padStart(5, '0')}-of-${total}.${type}`,
    ).filter((name) => !paths.includes(name));
    for (const name of lacking) {
      const warning = `${model}: the part ${name} is missing`;
      if (!warnings.includes(warning)) warnings.push(warning);
    }
  }
  return warnings;
}

const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) });

async function missingShards(file: string, files: readonly ModelFile[], model: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return [];
  try {
    const { weight_map } = shardIndex.parse(JSON.parse(text));
    const present = new Set(files.map(({ path }) => path));
    return [...new Set(Object.values(weight_map))]
      .filter((name) => !present.has(name))
      .map((name) => `${model}: the part ${name} is missing`);
  } catch {
    return [`${model}: model.safetensors.index.json can't be read`];
  }
}

const safetensorsHeader = z.record(
  z.string(),
  z.looseObject({ data_offsets: z.tuple([z.number(), z.number()]).optional() }),
);
const headerLimitBytes = 100 * 1024 * 1024;

/** A download that stopped half-way looks like a model until it is loaded. Null where nothing is wrong, or nothing known. */
async function truncationOf(path: string, sizeBytes: number): Promise<string | null> {
  if (!/\.(gguf|safetensors)$/i.test(path)) return null;
  const file = await open(path, 'r');
  try {
    const start = Buffer.alloc(8);
    const { bytesRead } = await file.read(start, 0, 8, 0);
    if (bytesRead < 8) return 'it is empty or cut';
    if (path.toLowerCase().endsWith('.gguf'))
      return start.toString('latin1', 0, 4) === 'GGUF' ? null : 'it is not a GGUF file';
    const length = Number(start.readBigUInt64LE(0));
    if (length > headerLimitBytes || 8 + length > sizeBytes) return 'its header reaches behind its end: it was cut';
    const header = Buffer.alloc(length);
    await file.read(header, 0, length, 8);
    const tensors = Object.entries(safetensorsHeader.parse(JSON.parse(header.toString('utf8'))));
    const end = Math.max(
      0,
      ...tensors.map(([name, { data_offsets }]) => (name === '__metadata__' ? 0 : (data_offsets?.[1] ?? 0))),
    );
    return 8 + length + end > sizeBytes ? `it was cut: ${sizeBytes} bytes instead of ${8 + length + end}` : null;
  } catch {
    return "its header can't be read";
  } finally {
    await file.close();
  }
}
