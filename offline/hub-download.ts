import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import { syncFolder } from './durable-file.ts';

/** What a download has to be in the end. */
export interface Expected {
  /** For errors. */
  readonly what: string;
  readonly sizeBytes: number;
  readonly sha256: string | null;
  readonly gitBlobId: string | null;
}

/** The bytes from an offset to the end; `onResumed` is called where they are put together from several answers. */
export type OpenAt = (from: number, onResumed: () => void) => AsyncIterable<Buffer>;

interface Work {
  readonly expected: Expected;
  readonly partial: FileHandle;
  readonly openAt: OpenAt;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Fills `${target}.partial`, from where an earlier process left it, and gives it its name once its hash is right. The hash
 * goes over what is on the disk and over what arrives, so nothing is read twice. A file without any hash is held to its size.
 * @throws CortexError digest_mismatch, disk_full, interrupted, and those of `openAt`
 */
export async function downloadVerified(
  expected: Expected,
  target: string,
  openAt: OpenAt,
  { onBytes, signal }: { onBytes: (bytes: number) => void; signal?: AbortSignal | undefined },
): Promise<{ sha256: string }> {
  const name = `${target}.partial`;
  await mkdir(dirname(target), { recursive: true });
  const partial = await open(name, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW);
  let sha256: string;
  try {
    const work = { expected, partial, openAt, onBytes, signal };
    let filled = await fill(work);
    if (filled.fault !== null && filled.wasResumed) {
      await partial.truncate(0);
      filled = await fill(work);
    }
    if (filled.fault !== null) {
      await rm(name, { force: true });
      throw new CortexError('digest_mismatch', { what: expected.what, ...filled.fault });
    }
    sha256 = filled.sha256;
    await partial.sync();
  } catch (error) {
    throw await asDiskFull(error, name, expected.sizeBytes);
  } finally {
    await partial.close();
  }
  await rename(name, target);
  await syncFolder(dirname(target));
  return { sha256 };
}

async function fill({ expected, partial, openAt, onBytes, signal }: Work) {
  const hash = hashOf(expected);
  const { size } = await partial.stat();
  if (size > expected.sizeBytes) await partial.truncate(0);
  const kept = size > expected.sizeBytes ? 0 : size;
  for await (const bytes of readTo(partial, kept, signal)) hash.update(bytes);
  if (kept > 0) onBytes(kept);
  let at = kept;
  let wasResumed = kept > 0;
  for await (const bytes of openAt(at, () => {
    wasResumed = true;
  })) {
    await writeAll(partial, bytes, at);
    hash.update(bytes);
    at += bytes.length;
    onBytes(bytes.length);
  }
  return { ...hash.end(), wasResumed };
}

/** Both kinds of hash at once: a hub tells of each file one or the other. */
function hashOf({ sizeBytes, sha256, gitBlobId }: Expected) {
  const plain = createHash('sha256');
  // Git's repositories are of SHA-1, and since lately of SHA-256.
  const git = gitBlobId === null ? null : createHash(gitBlobId.length === 64 ? 'sha256' : 'sha1');
  git?.update(`blob ${sizeBytes}\0`);
  return {
    update(bytes: Buffer): void {
      plain.update(bytes);
      git?.update(bytes);
    },
    end(): { sha256: string; fault: { expected: string; found: string } | null } {
      const found = plain.digest('hex');
      const blob = git?.digest('hex') ?? null;
      if (sha256 !== null && found !== sha256)
        return { sha256: found, fault: { expected: `sha256:${sha256}`, found: `sha256:${found}` } };
      if (gitBlobId !== null && blob !== gitBlobId)
        return { sha256: found, fault: { expected: `git:${gitBlobId}`, found: `git:${blob}` } };
      return { sha256: found, fault: null };
    },
  };
}

async function* readTo(file: FileHandle, end: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(end, 1024 * 1024));
  for (let at = 0; at < end; ) {
    if (signal?.aborted) throw new CortexError('interrupted', {});
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) throw new Error('the partial file became shorter while it was read');
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** A write may stop short, on a disk that is nearly full for one. */
async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

async function asDiskFull(error: unknown, path: string, neededBytes: number): Promise<unknown> {
  if (!['ENOSPC', 'EDQUOT'].includes(Object(error).code)) return error;
  const { bavail, bsize } = await statfs(dirname(path));
  return new CortexError('disk_full', { path, neededBytes, freeBytes: bavail * bsize }, { cause: error });
}
