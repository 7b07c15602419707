import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import { publicKeyName } from './bill.ts';
import { readLoadedBills } from './bill-file.ts';
import type { PackageReader } from './package-reader.ts';
import { type PublicKey, parsePublicKey, signerOf } from './signing.ts';

export interface TrustOptions {
  readonly trusted: readonly PublicKey[];
  readonly allowUnsigned?: boolean;
  readonly allowOlder?: boolean;
  /** Where the bills of what was loaded are kept. */
  readonly receiptDir: string;
  readonly now?: Date;
}

export interface TrustResult {
  readonly key: PublicKey | null;
  /** What was allowed that is refused by default. */
  readonly exceptions: readonly ('allow-unsigned' | 'allow-older')[];
  readonly warnings: readonly string[];
}

const dayMs = 86_400_000;

/**
 * Who vouches for a package, and is it newer than what is here. Asked before anything of it is used.
 * @throws CortexError signature_missing, signature_invalid, key_unknown, package_older
 */
export async function checkTrust(reader: PackageReader, options: TrustOptions): Promise<TrustResult> {
  const exceptions: ('allow-unsigned' | 'allow-older')[] = [];
  const warnings: string[] = [];
  const key = await checkSignature(reader, options.trusted).catch((error: unknown) => {
    if (!options.allowUnsigned || !(error instanceof CortexError)) throw error;
    exceptions.push('allow-unsigned');
    warnings.push(`${error.message} Loaded all the same, because of --allow-unsigned.`);
    return null;
  });
  const { bill } = reader;
  const made = Date.parse(bill.created_at);
  // A clock that was reset must not keep a site from working: it is told, and the counter decides.
  if (made > (options.now ?? new Date()).getTime() + dayMs)
    warnings.push(
      `The package was made on ${bill.created_at}, which is in the future: check this machine's clock (date).`,
    );
  for (const loaded of await readLoadedBills(options.receiptDir)) {
    // A fresh preparing machine counts from 1 again, so an older number alone says nothing.
    if (loaded.sequence <= bill.sequence || Date.parse(loaded.created_at) <= made) continue;
    if (!options.allowOlder) {
      throw new CortexError('package_older', {
        sequence: bill.sequence,
        createdAt: bill.created_at,
        loadedSequence: loaded.sequence,
        loadedAt: loaded.created_at,
      });
    }
    exceptions.push('allow-older');
    warnings.push(
      `This package is older than number ${loaded.sequence} of ${loaded.created_at}, which was loaded here.`,
    );
    break;
  }
  return { key, exceptions, warnings };
}

async function checkSignature(reader: PackageReader, trusted: readonly PublicKey[]): Promise<PublicKey> {
  const dir = reader.media[0]?.dir ?? '';
  const { signature, billBytes } = reader;
  if (signature === null) throw new CortexError('signature_missing', { dir });
  const signer = signerOf(billBytes, signature, trusted);
  if (signer !== null) return signer;
  const carried = await carriedKey(reader);
  if (
    carried !== null &&
    signerOf(billBytes, signature, [carried]) !== null &&
    !trusted.some(({ fingerprint }) => fingerprint === carried.fingerprint)
  )
    throw new CortexError('key_unknown', { fingerprint: carried.fingerprint });
  const known = trusted.map(({ fingerprint }) => fingerprint).join(' or ') || 'any key that this machine trusts';
  throw new CortexError('signature_invalid', { dir, fingerprint: known });
}

/** The public key that lies in the package. It says which key to ask for, and vouches for nothing. */
export async function carriedKey(reader: PackageReader): Promise<PublicKey | null> {
  for (const { dir } of reader.media) {
    const file = join(dir, publicKeyName);
    const pem = await readFile(file, 'utf8').catch(() => null);
    if (pem === null) continue;
    try {
      return parsePublicKey(pem, file);
    } catch {
      return null;
    }
  }
  return null;
}
