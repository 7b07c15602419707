import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const isExisting = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EEXIST';

/** Reads a secret's file; makes it where there is none. Only the owner can read it, and two starts can't both make it. */
function readOrMake(dataDir: string, name: string, make: () => Buffer | string): Buffer {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, name);
  try {
    writeFileSync(path, make(), { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if (!isExisting(error)) throw error;
    chmodSync(path, 0o600);
  }
  return readFileSync(path);
}

/** The token by which the command line of this machine is known (file `local-token`). */
export const readLocalToken = (dataDir: string): string =>
  readOrMake(dataDir, 'local-token', () => `${randomBytes(32).toString('base64url')}\n`)
    .toString('utf8')
    .trim();

/** 32 random bytes from which engine keys are derived (file `secret`). */
export const readRootSecret = (dataDir: string): Buffer => readOrMake(dataDir, 'secret', () => randomBytes(32));

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Compares in a time that does not tell how much of it was right. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
