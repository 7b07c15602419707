import { mkdtempSync, rmSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bill } from '../../offline/bill.ts';
import type { PackageEvent } from '../../offline/events.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import { type PrepareOptions, preparePackage } from '../../offline/prepare.ts';
import { verifyPackage } from '../../offline/verify.ts';

export const rootDir = fileURLToPath(new URL('../../', import.meta.url));
export const registryOrigin = 'http://127.0.0.1:5055';

/** A folder of one test file's own, with packages in it. */
export class Workshop {
  readonly dir = mkdtempSync(join(tmpdir(), 'cortex-offline-'));

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Prepares images of the loopback registry; names without a registry stand for it. */
  async prepare(
    output: string,
    only: readonly string[],
    options: Partial<PrepareOptions> = {},
  ): Promise<{ bill: Bill; events: PackageEvent[] }> {
    const events: PackageEvent[] = [];
    const bill = await preparePackage({
      rootDir,
      outputDir: this.path(output),
      platforms: ['linux/amd64'],
      only: only.map((name) => `127.0.0.1:5055/${name}`),
      lockFile: this.path(`${output}.lock.json`),
      signer: null,
      env: {},
      report: (event) => void events.push(event),
      ...options,
    });
    if (bill === null) throw new Error('this was a dry run');
    return { bill, events };
  }

  /** The codes of all problems, sorted, and the damaged chunks. */
  async verify(...outputs: string[]): Promise<{ codes: string[]; bad: string[]; messages: string[] }> {
    const reader = await PackageReader.open(outputs.map((output) => this.path(output)));
    try {
      const { problems, badChunks } = await verifyPackage(reader, () => undefined);
      return {
        codes: problems.map(({ code }) => code).sort(),
        bad: badChunks.map(({ file, index }) => `${file}#${index}`),
        messages: problems.map(({ message }) => message),
      };
    } finally {
      await reader.close();
    }
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Turns one byte over. */
export async function flipByte(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const offset = at < 0 ? size + at : at;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, offset);
  } finally {
    await file.close();
  }
}

export const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
