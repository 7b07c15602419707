import { CortexError } from '../contract/errors.ts';
import type { FileSums, Follower, HashPool } from './hash-pool.ts';
import { type Ledger, type LedgerState, runKey } from './ledger.ts';
import type { StreamLimit } from './limiter.ts';
import type { Member, MemberBlob } from './member.ts';
import { PieceWriter } from './piece-writer.ts';

/**
 * The longest run of one stream. It bounds what is fetched again after kill -9 or a power cut (64 MiB are promised), and lets
 * one big layer come over several streams.
 */
export const runBytes = 32 * 1024 * 1024;
const writeBytes = 1024 * 1024;

export interface FetchOptions {
  readonly members: readonly Member[];
  /** Where a member's pieces lie. */
  readonly piecesOf: (member: Member) => readonly { readonly path: string; readonly sizeBytes: number }[];
  readonly chunkBytes: number;
  readonly ledger: Ledger;
  readonly state: LedgerState;
  readonly pool: HashPool;
  readonly limit: StreamLimit;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes: (member: Member, bytes: number) => void;
  readonly onDone: (member: Member, sums: FileSums) => void;
  readonly onFailed: (member: Member, error: unknown) => void;
}

interface Target {
  readonly work: MemberWork;
  readonly index: number;
  readonly blob: MemberBlob;
}

/**
 * Brings every byte of the members to its place, once: a blob that several files hold is fetched once and written to each.
 * Runs of all blobs share one limit. Every member is tried; a failure ends only the members that need the blob.
 * @throws CortexError interrupted
 */
export async function fetchMembers(options: FetchOptions): Promise<ReadonlyMap<string, FileSums>> {
  const { members, limit, signal } = options;
  const sums = new Map<string, FileSums>();
  const works: MemberWork[] = [];
  for (const member of members) works.push(await MemberWork.open(member, options));
  try {
    const runs = planRuns(works);
    const finished = works.map(async (work) => {
      try {
        const result = await work.done;
        sums.set(work.member.name, result);
        options.onDone(work.member, result);
      } catch (error) {
        if (!signal?.aborted) options.onFailed(work.member, error);
      }
    });
    // Streams go on while the disk takes what they brought, one run behind: so much is fetched again after a power cut.
    const unsynced = new Set<Promise<void>>();
    await Promise.all(
      runs.map((run) =>
        limit.run(async () => {
          while (unsynced.size >= limit.allowed) await Promise.race(unsynced);
          const targets = run.targets.filter(({ work }) => !work.failed);
          if (targets.length === 0 || signal?.aborted) return;
          const fail = (error: unknown) => {
            for (const { work } of targets) work.fail(error);
          };
          try {
            await moveRun(run, targets, options);
          } catch (error) {
            fail(error);
            return;
          }
          const synced = recordRun(run, targets, options)
            .catch(fail)
            .finally(() => unsynced.delete(synced));
          unsynced.add(synced);
        }),
      ),
    );
    await Promise.all(unsynced);
    if (signal?.aborted) for (const work of works) work.fail(new CortexError('interrupted', {}));
    await Promise.all(finished);
    if (signal?.aborted) throw new CortexError('interrupted', {});
    return sums;
  } finally {
    for (const work of works) await work.close();
  }
}

interface Run {
  readonly from: number;
  readonly to: number;
  readonly targets: readonly Target[];
}

/** What is missing, in the order of the files, so that the sums can follow closely. */
function planRuns(works: readonly MemberWork[]): Run[] {
  const byKey = new Map<string, Target[]>();
  for (const work of works) {
    for (const [index, blob] of work.member.blobs.entries()) {
      const known = byKey.get(blob.key);
      if (known === undefined) byKey.set(blob.key, [{ work, index, blob }]);
      else known.push({ work, index, blob });
    }
  }
  const runs: Run[] = [];
  for (const targets of byKey.values()) {
    const { sizeBytes, splittable } = targets[0]?.blob ?? { sizeBytes: 0, splittable: true };
    const step = splittable ? runBytes : Math.max(sizeBytes, 1);
    for (let from = 0; from < sizeBytes; from += step) {
      const to = Math.min(sizeBytes, from + step);
      const lacking = targets.filter(({ work, index }) => !work.has(index, from, to));
      if (lacking.length > 0) runs.push({ from, to, targets: lacking });
    }
  }
  return runs;
}

async function moveRun({ from, to }: Run, targets: readonly Target[], { limit, onBytes }: FetchOptions): Promise<void> {
  const source = targets[0]?.blob.open(from, to);
  if (source === undefined) return;
  let at = from;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const flush = async () => {
    const buffers = waiting;
    const start = at;
    at += waitingBytes;
    waiting = [];
    const written = waitingBytes;
    waitingBytes = 0;
    await Promise.all(targets.map(({ work, blob }) => work.write(buffers, blob.offset + start)));
    limit.moved(written);
    for (const { work } of targets) onBytes(work.member, written);
  };
  for await (const bytes of source) {
    waiting.push(bytes);
    waitingBytes += bytes.length;
    if (at + waitingBytes > to) throw new Error('more bytes came than were asked for');
    if (waitingBytes >= writeBytes) await flush();
  }
  if (waitingBytes > 0) await flush();
  if (at !== to) throw new Error(`the bytes ended ${to - at} early`);
  for (const { work, index } of targets) work.note(index, from, to);
}

async function recordRun({ from, to }: Run, targets: readonly Target[], { ledger }: FetchOptions): Promise<void> {
  await Promise.all(
    targets.map(({ work, index }) =>
      ledger.record({ kind: 'run', member: work.member.identity, blob: index, from, to }, work.sync),
    ),
  );
}

/** One member on its way: where its bytes are, how far its sums have come. */
class MemberWork {
  readonly member: Member;
  readonly done: Promise<FileSums>;
  failed = false;
  readonly #options: FetchOptions;
  readonly #writer: PieceWriter;
  readonly #runs: { from: number; to: number }[][];
  readonly #again = new Set<number>();
  #follower: Follower;
  #settle: { resolve: (sums: FileSums) => void; reject: (error: unknown) => void } = {
    resolve: () => undefined,
    reject: () => undefined,
  };
  #closed = false;
  readonly sync: () => Promise<void>;

  private constructor(member: Member, writer: PieceWriter, options: FetchOptions) {
    this.member = member;
    this.#writer = writer;
    this.#options = options;
    this.sync = () => writer.sync();
    this.#runs = member.blobs.map((_, index) => [...(options.state.runs.get(runKey(member.identity, index)) ?? [])]);
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.done.catch(() => undefined);
    this.#follower = this.#follow();
  }

  static async open(member: Member, options: FetchOptions): Promise<MemberWork> {
    const writer = await PieceWriter.open(options.piecesOf(member));
    for (const { offset, bytes } of member.pieces) await writer.write([bytes], offset);
    const work = new MemberWork(member, writer, options);
    work.#advance();
    return work;
  }

  has(blob: number, from: number, to: number): boolean {
    return this.#runs[blob]?.some((run) => run.from <= from && run.to >= to) ?? false;
  }

  write(buffers: readonly Buffer[], offset: number): Promise<void> {
    return this.#writer.write(buffers, offset);
  }

  note(blob: number, from: number, to: number): void {
    this.#runs[blob]?.push({ from, to });
    this.#advance();
  }

  fail(error: unknown): void {
    this.failed = true;
    this.#settle.reject(error);
  }

  async close(): Promise<void> {
    if (!this.#closed) await this.#writer.close();
    this.#closed = true;
  }

  /** The sums may follow up to the first byte that is missing. */
  #advance(): void {
    if (!this.failed) this.#follower.advance(this.#frontier());
  }

  #frontier(): number {
    for (const [index, { offset, sizeBytes }] of this.member.blobs.entries()) {
      const reached = reach(this.#runs[index] ?? []);
      if (reached < sizeBytes) return offset + reached;
    }
    return this.member.sizeBytes;
  }

  #follow(): Follower {
    const { member } = this;
    const spoilt: { index: number; found: string }[] = [];
    const follower = this.#options.pool.follow(
      {
        source: this.#writer.source,
        chunkBytes: this.#options.chunkBytes,
        marks: member.blobs.map(({ offset, sizeBytes }) => ({ offset, sizeBytes })),
      },
      (index, sum) => {
        const expected = member.blobs[index]?.digest;
        if (expected != null && expected !== `sha256:${sum}`) spoilt.push({ index, found: `sha256:${sum}` });
      },
    );
    follower.done.then(
      (sums) => (spoilt.length > 0 ? void this.#mend(spoilt) : void this.#finish(sums)),
      (error: unknown) => this.fail(error),
    );
    return follower;
  }

  async #finish(sums: FileSums): Promise<void> {
    try {
      this.#closed = true;
      await this.#writer.finish();
      const { identity, name, sizeBytes } = this.member;
      await this.#options.ledger.record(
        { kind: 'file', member: identity, name, sizeBytes, sha256: sums.sha256, chunks: [...sums.chunks] },
        async () => undefined,
      );
      this.#settle.resolve(sums);
    } catch (error) {
      this.fail(error);
    }
  }

  /** A blob with another digest is fetched once more: a cut disk or a proxy may have spoilt it. Then the source is to blame. */
  async #mend(spoilt: readonly { index: number; found: string }[]): Promise<void> {
    try {
      for (const { index, found } of spoilt) {
        const blob = this.member.blobs[index];
        if (blob === undefined || this.failed) return;
        if (this.#again.has(index)) {
          throw new CortexError('digest_mismatch', {
            what: `a layer of ${this.member.name}`,
            expected: blob.digest ?? '',
            found,
          });
        }
        this.#again.add(index);
        this.#runs[index] = [];
        await this.#options.ledger.record(
          { kind: 'spoilt', member: this.member.identity, blob: index },
          async () => undefined,
        );
      }
      this.#follower = this.#follow();
      for (const { index } of spoilt) {
        const blob = this.member.blobs[index];
        if (blob === undefined) continue;
        const run = { from: 0, to: blob.sizeBytes, targets: [{ work: this, index, blob }] };
        await moveRun(run, run.targets, this.#options);
        await recordRun(run, run.targets, this.#options);
      }
    } catch (error) {
      this.fail(error);
    }
  }
}

/** How far runs reach from 0 without a gap. */
function reach(runs: readonly { readonly from: number; readonly to: number }[]): number {
  let end = 0;
  for (const { from, to } of [...runs].sort((a, b) => a.from - b.from)) {
    if (from > end) break;
    end = Math.max(end, to);
  }
  return end;
}
