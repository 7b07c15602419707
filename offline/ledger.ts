import { type FileHandle, open, readFile } from 'node:fs/promises';
import { z } from 'zod';

const line = z.discriminatedUnion('kind', [
  /** The run `from`–`to` of a blob of a member is on the disk. */
  z.object({
    kind: z.literal('run'),
    member: z.string(),
    blob: z.number().int(),
    from: z.number().int(),
    to: z.number().int(),
  }),
  /** What was there of a blob is not to be trusted. */
  z.object({ kind: z.literal('spoilt'), member: z.string(), blob: z.number().int() }),
  z.object({
    kind: z.literal('file'),
    member: z.string(),
    name: z.string(),
    sizeBytes: z.number().int(),
    sha256: z.string(),
    chunks: z.array(z.string()),
  }),
]);
export type LedgerLine = z.infer<typeof line>;
export type LedgerFile = Extract<LedgerLine, { kind: 'file' }>;

/** What earlier runs had done, by the members' identities. */
export interface LedgerState {
  readonly files: ReadonlyMap<string, LedgerFile>;
  readonly runs: ReadonlyMap<string, readonly { readonly from: number; readonly to: number }[]>;
}

export const runKey = (member: string, blob: number): string => `${member}#${blob}`;

/**
 * What is done, for the run after an interruption: appended, and synced after the data that it speaks of. Invariant: a run
 * of bytes that stands here survives kill -9 and a power cut. Lines of all streams share one sync.
 */
export class Ledger {
  readonly #file: FileHandle;
  #waiting: { text: string; settle: (error?: unknown) => void; sync: () => Promise<void> }[] = [];
  #working: Promise<void> | null = null;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<{ ledger: Ledger; state: LedgerState }> {
    const text = await readFile(path, 'utf8').catch(() => '');
    const file = await open(path, 'a', 0o600);
    // A line that a crash cut must not swallow the next one.
    if (text !== '' && !text.endsWith('\n')) await file.appendFile('\n');
    return { ledger: new Ledger(file), state: parse(text) };
  }

  /** Resolves when the data (by `sync`) and then the line are on the disk. */
  record(entry: LedgerLine, sync: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      this.#waiting.push({ text: `${JSON.stringify(entry)}\n`, settle, sync });
      this.#working ??= this.#work();
    });
  }

  async close(): Promise<void> {
    await this.#working;
    await this.#file.close();
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        for (const sync of new Set(batch.map((one) => one.sync))) await sync();
        await this.#file.appendFile(batch.map(({ text }) => text).join(''));
        await this.#file.datasync();
        for (const { settle } of batch) settle();
      } catch (error) {
        for (const { settle } of batch) settle(error);
      }
    }
    this.#working = null;
  }
}

function parse(text: string): LedgerState {
  const files = new Map<string, LedgerFile>();
  const runs = new Map<string, { from: number; to: number }[]>();
  for (const raw of text.split('\n')) {
    const entry = readLine(raw);
    if (entry?.kind === 'file') files.set(entry.member, entry);
    if (entry?.kind === 'spoilt') runs.delete(runKey(entry.member, entry.blob));
    if (entry?.kind === 'run') {
      const key = runKey(entry.member, entry.blob);
      runs.set(key, [...(runs.get(key) ?? []), { from: entry.from, to: entry.to }]);
    }
  }
  return { files, runs };
}

function readLine(raw: string): LedgerLine | null {
  try {
    return line.parse(JSON.parse(raw));
  } catch {
    return null;
  }
}
