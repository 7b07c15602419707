import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { downloadVerified } from './hub-download.ts';
import { type HubAnswer, type HubOptions, HubTransport } from './hub-transport.ts';

export type { HubOptions } from './hub-transport.ts';

export interface HubFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Of files that the hub keeps apart from git (LFS). */
  readonly sha256: string | null;
  /** SHA-1 of git's blob, of the others. */
  readonly gitBlobId: string | null;
}

export interface HubModel {
  readonly name: string;
  /** The commit. */
  readonly revision: string;
  readonly licence: string | null;
  readonly files: readonly HubFile[];
}

const modelName = /^[\w][\w.-]{0,95}(\/[\w][\w.-]{0,95})?$/;
const revisionName = /^[\w][\w./-]{0,120}$/;
const filePath = /^[^\\\p{Cc}\p{Cs}]{1,512}$/u;
const gitHash = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** Whether a path that a hub tells stays in the folder that it is put into. */
export const isHubPath = (path: string): boolean =>
  filePath.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));

const answer = z.object({
  sha: z.string().regex(gitHash),
  cardData: z.looseObject({ license: z.union([z.string(), z.array(z.string())]).optional() }).nullish(),
  siblings: z
    .array(
      z.object({
        rfilename: z.string().refine(isHubPath, 'not a plain path'),
        size: z.number().int().min(0),
        blobId: z.string().regex(gitHash).optional(),
        lfs: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullish(),
      }),
    )
    .max(10_000),
});

/** `org/name@revision`; the revision defaults to main. @throws CortexError option_invalid */
export function parseHubReference(text: string): { name: string; revision: string } {
  const at = text.indexOf('@');
  const name = at === -1 ? text : text.slice(0, at);
  const revision = at === -1 ? 'main' : text.slice(at + 1);
  if (modelName.test(name) && revisionName.test(revision) && !revision.includes('..')) return { name, revision };
  throw new CortexError('option_invalid', {
    option: '--model',
    value: `hf:${text.slice(0, 200).replace(/\p{Cc}/gu, '?')}`,
    allowed: 'hf:org/name or hf:org/name@revision',
  });
}

/** Reads models from a Hugging Face-compatible hub. */
export class HubClient {
  readonly #hub: HubTransport;
  readonly #signal: AbortSignal | undefined;

  constructor(options: HubOptions) {
    this.#hub = new HubTransport(options);
    this.#signal = options.signal;
  }

  close(): Promise<void> {
    return this.#hub.close();
  }

  /** The model's files at a commit. @throws CortexError hub_refused, hub_unreachable, option_invalid, interrupted */
  async resolve(name: string, revision: string): Promise<HubModel> {
    parseHubReference(`${name}@${revision}`);
    const path = `/api/models/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const parsed = answer.safeParse(await this.#hub.json(name, path));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const reason = `its answer can't be read (${issue?.path.join('.')}: ${issue?.message})`;
      throw new CortexError('hub_refused', { model: name, status: 200, reason });
    }
    const { sha, cardData, siblings } = parsed.data;
    const licence = cardData?.license;
    return {
      name,
      revision: sha,
      licence: Array.isArray(licence) ? licence.join(', ') : (licence ?? null),
      files: siblings.map(({ rfilename, size, blobId, lfs }) => ({
        path: rfilename,
        sizeBytes: size,
        sha256: lfs?.sha256 ?? null,
        gitBlobId: lfs ? null : (blobId ?? null),
      })),
    };
  }

  /**
   * Downloads a file to `target`, by way of `${target}.partial`, which is taken up where it ends. A hash that is wrong after
   * that leads to one more try from the start, whose bytes are told to `onBytes` again.
   * @throws CortexError digest_mismatch, disk_full, hub_refused, hub_unreachable, interrupted
   */
  async download(
    model: HubModel,
    file: HubFile,
    target: string,
    onBytes: (bytes: number) => void,
  ): Promise<{ sha256: string }> {
    const expected = { ...file, what: `${file.path} of ${model.name}` };
    checkPath(model, file);
    return downloadVerified(
      expected,
      target,
      (from, onResumed) => this.open(model, file, from, file.sizeBytes, onResumed),
      { onBytes, signal: this.#signal },
    );
  }

  /** The bytes of a file from `from` up to `to`; a connection that breaks is taken up where it stopped. */
  async *open(
    model: HubModel,
    file: HubFile,
    from: number,
    to: number,
    onResumed?: () => void,
  ): AsyncGenerator<Buffer> {
    checkPath(model, file);
    const path = `/${model.name}/resolve/${model.revision}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
    let at = from;
    for (let attempt = 1; at < to; attempt += 1) {
      if (at > from) onResumed?.();
      try {
        // Compressed bytes could neither be counted nor taken up in their middle.
        const headers = { range: `bytes=${at}-${to - 1}`, 'accept-encoding': 'identity' };
        const found = await this.#hub.get(model.name, path, headers);
        const fault = faultOf(found, model, file, at);
        if (fault !== null) {
          await found.body.dump();
          throw fault;
        }
        // A hub that ignores Range sends the file from its start, and to its end.
        let skip = found.status === 206 ? 0 : at;
        for await (const chunk of found.body) {
          const bytes: Buffer = chunk;
          const fresh = skip >= bytes.length ? null : bytes.subarray(skip, skip + to - at);
          skip = Math.max(0, skip - bytes.length);
          if (fresh === null) continue;
          at += fresh.length;
          attempt = 1;
          yield fresh;
          if (at >= to) return;
        }
        throw new Error('the connection ended early');
      } catch (cause) {
        await this.#hub.recover(cause, attempt);
      }
    }
  }
}

function checkPath(model: HubModel, file: HubFile): void {
  if (isHubPath(file.path)) return;
  throw new CortexError('hub_refused', { model: model.name, status: 200, reason: 'a file of it has no plain path' });
}

/** What shows before the bytes are read that they are not those of the file. */
function faultOf({ status, headers, linked }: HubAnswer, model: HubModel, file: HubFile, at: number) {
  const what = `${file.path} of ${model.name}`;
  const refused = (reason: string) =>
    new CortexError('hub_refused', { model: model.name, status, reason: `${file.path} ${reason}` });
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return refused('comes compressed, which was not asked for');
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(String(headers['content-range'] ?? '')) ?? [];
  const whole = status === 206 ? total : headers['content-length'];
  for (const told of [linked.sizeBytes ?? undefined, whole])
    if (told !== undefined && told !== '*' && Number(told) !== file.sizeBytes)
      return refused(`has ${told} bytes instead of ${file.sizeBytes}`);
  if (status === 206 && start !== undefined && Number(start) !== at)
    return refused(`was sent from byte ${start} instead of ${at}`);
  const expected = linked.hash?.length === 64 ? file.sha256 : file.gitBlobId;
  if (linked.hash !== null && gitHash.test(linked.hash) && expected !== null && linked.hash !== expected)
    return new CortexError('digest_mismatch', { what, expected, found: linked.hash });
  return null;
}
