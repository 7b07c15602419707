import { CortexError } from '../contract/errors.ts';
import type { BillFile } from './bill.ts';
import type { Report } from './events.ts';
import { HashPool } from './hash-pool.ts';
import type { BadChunk, PackageReader } from './package-reader.ts';
import { filesBelow, furniture } from './package-writer.ts';
import { isPartial } from './piece-writer.ts';

export interface VerifyResult {
  readonly problems: readonly CortexError[];
  /** What a repair has to bring. */
  readonly badChunks: readonly BadChunk[];
}

const chunksPerJob = 8;
const longestChunkBytes = 64 * 1024 * 1024;

/**
 * Checks every byte of a package against its bill, on all cores, each byte read once. Missing, altered, extra and stale files
 * are different errors, and of a damaged file the exact chunks are named.
 */
export async function verifyPackage(reader: PackageReader, report: Report): Promise<VerifyResult> {
  const { bill } = reader;
  const problems: CortexError[] = [];
  const badChunks: BadChunk[] = [];
  const tell = (file: string, sizeBytes: number, error: CortexError) => {
    problems.push(error);
    report({ kind: 'file-failed', file, sizeBytes, code: error.code, message: error.message, hint: error.hint });
  };
  const totalBytes = bill.files.reduce((total, file) => total + file.sizeBytes, 0);
  report({ kind: 'started', work: 'verify', dir: reader.media.map(({ dir }) => dir).join(', ') });
  report({ kind: 'planned', totalBytes, presentBytes: 0 });
  const pool = new HashPool();
  try {
    // A few files at once keep every core busy, whether they are many small ones or one large one.
    const waiting = [...bill.files];
    const worker = async () => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        report({ kind: 'file-started', file: file.name, sizeBytes: file.sizeBytes });
        const bad = await checkFile(file, reader, pool, report);
        badChunks.push(...bad);
        const error = bad.length === 0 ? null : await errorFor(file, bad, reader);
        if (error === null) report({ kind: 'file-done', file: file.name, sizeBytes: file.sizeBytes, note: 'whole' });
        else tell(file.name, file.sizeBytes, error);
      }
    };
    await Promise.all(Array.from({ length: Math.min(4, pool.size * 2) }, worker));
  } finally {
    await pool.close();
  }
  for (const [name, error] of await strangers(reader)) tell(name, 0, error);
  report({
    kind: 'finished',
    work: 'verify',
    succeeded: Math.max(0, bill.files.length - problems.length),
    failed: problems.length,
    totalBytes,
  });
  return { problems, badChunks };
}

/** The chunks of a file that are not as the bill says, after other media and repairs were tried. */
async function checkFile(file: BillFile, reader: PackageReader, pool: HashPool, report: Report): Promise<BadChunk[]> {
  const sources = await reader.sourcesOf(file);
  const unit = file.chunks.length === 0 ? Math.max(1, file.sizeBytes) : reader.bill.chunk_bytes;
  const expected = file.chunks.length === 0 ? [file.sha256] : file.chunks;
  const suspects: number[] = [];
  const jobs: number[][] = [];
  for (let index = 0; index < expected.length; index += chunksPerJob)
    jobs.push(expected.slice(index, index + chunksPerJob).map((_, offset) => index + offset));
  await Promise.all(
    jobs.map(async (indexes) => {
      const ranges = indexes.map((index) => ({
        source: sources,
        offset: index * unit,
        sizeBytes: Math.min(unit, file.sizeBytes - index * unit),
      }));
      const sums = await pool.sums(ranges);
      for (const [at, index] of indexes.entries()) if (sums[at] !== expected[index]) suspects.push(index);
      report({ kind: 'bytes', file: file.name, bytes: ranges.reduce((total, range) => total + range.sizeBytes, 0) });
    }),
  );
  const bad: BadChunk[] = [];
  for (const index of suspects.sort((a, b) => a - b)) {
    // A format 1 archive has no chunks: the whole of it is what is bad, and it is not read into memory.
    if (unit > longestChunkBytes) {
      bad.push({ file: file.name, index, reason: 'its SHA-256 is not the one in manifest.json', volume: 1 });
      continue;
    }
    try {
      await reader.chunk(file.name, index);
    } catch (error) {
      if (!(error instanceof CortexError)) throw error;
      bad.push({ file: file.name, index, reason: error.message, volume: volumeOf(file, index * unit) });
    }
  }
  return bad;
}

function volumeOf(file: BillFile, offset: number): number {
  let end = 0;
  for (const piece of file.pieces ?? []) {
    end += piece.sizeBytes;
    if (offset < end) return piece.volume;
  }
  return file.pieces?.at(-1)?.volume ?? 1;
}

async function errorFor(file: BillFile, bad: readonly BadChunk[], reader: PackageReader): Promise<CortexError> {
  if (file.chunks.length === 0 && file.sizeBytes > longestChunkBytes && (await reader.sizeOnDisk(file)) !== null)
    return new CortexError('package_file_altered', {
      file: file.name,
      detail: 'its SHA-256 is not the one in manifest.json.',
    });
  const first = await reader.chunk(file.name, bad[0]?.index ?? 0).catch((error: unknown) => error);
  const error = first instanceof CortexError ? first : new CortexError('package_file_missing', { file: file.name });
  if (error.code !== 'package_file_altered' || file.chunks.length === 0) return error;
  const size = await reader.sizeOnDisk(file);
  if (size !== null && size !== file.sizeBytes)
    return new CortexError('package_file_altered', {
      file: file.name,
      detail: `it has ${size} bytes instead of ${file.sizeBytes}.`,
    });
  const numbers = bad.map(({ index }) => index + 1);
  const volumes = [...new Set(bad.map(({ volume }) => volume))];
  const where = reader.bill.volumes > 1 ? ` on volume ${volumes.join(', ')}` : '';
  const detail = `chunks ${ranges(numbers)} of ${file.chunks.length}${where} do not have the sums of the bill.`;
  return new CortexError('package_file_altered', { file: file.name, detail });
}

/** 1-3, 7 */
function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const number of numbers) {
    const last = parts.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

/** What lies in the folders and is not in the bill. */
async function strangers(reader: PackageReader): Promise<[string, CortexError][]> {
  const { bill } = reader;
  const known = new Set(bill.files.flatMap((file) => (file.pieces ?? [file]).map(({ name }) => name)));
  const found: [string, CortexError][] = [];
  for (const { dir } of reader.media) {
    for (const name of await filesBelow(dir, '')) {
      if (known.has(name) || furniture.has(name) || name.startsWith('chunks/') || isRepair(name)) continue;
      if (isPartial(name)) {
        const reason = 'it is a part of a file that was never finished';
        found.push([name, new CortexError('package_file_stale', { file: name, reason })]);
      } else if (/\.tar(\.\d{3})?$/.test(name) && bill.images.some(({ file }) => sameImage(file, name))) {
        found.push([
          name,
          new CortexError('package_file_stale', { file: name, reason: 'it is an archive of another version' }),
        ]);
      } else found.push([name, new CortexError('package_file_extra', { file: name })]);
    }
  }
  return found;
}

const isRepair = (name: string) => name === 'repair.json';
/** `redis-6.tar` beside `redis-7.tar`. */
const sameImage = (billed: string, other: string) => stem(billed) === stem(other);
const stem = (file: string) => file.replace(/\.tar(\.\d{3})?$/, '').replace(/-v?\d[\w.-]*$/, '');
