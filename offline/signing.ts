import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import { writeDurably } from './durable-file.ts';

/** An Ed25519 public key that packages may be signed with. */
export interface PublicKey {
  readonly pem: string;
  /** `SHA256:` and the base64 of the sum of its DER form, as OpenSSH writes fingerprints: short enough to be read aloud. */
  readonly fingerprint: string;
}

/** Where the private key is kept when none is named: outside the repository, which is carried across the gap. */
export const defaultKeyFile = (env: Readonly<Record<string, string | undefined>>): string =>
  env.CORTEX_SIGNING_KEY || join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'cortex/signing.key');

/** Below the folder of the checkout: the keys that this machine trusts, one PEM file each. */
export const trustedKeysDir = (rootDir: string): string => join(rootDir, '.cortex/trusted-keys');

const keyInvalid = (file: string, reason: string, cause?: unknown) =>
  new CortexError('key_invalid', { file, reason }, { cause });

/** Makes a key pair; an existing one is never overwritten. @throws CortexError key_invalid */
export async function generateKey(file: string): Promise<PublicKey> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    await writeFile(file, privatePem, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    if (Object(cause).code !== 'EEXIST') throw cause;
    throw keyInvalid(file, 'there is a key already, and it is not overwritten', cause);
  }
  const made = describe(publicKey);
  await writeFile(`${file}.pub`, made.pem);
  return made;
}

/** Reads a private key. @returns null where there is none. @throws CortexError key_invalid */
export async function readSigner(file: string): Promise<{ key: KeyObject; publicKey: PublicKey } | null> {
  const pem = await readFile(file, 'utf8').catch((error: unknown) => {
    if (Object(error).code === 'ENOENT') return null;
    throw keyInvalid(file, error instanceof Error ? error.message : String(error), error);
  });
  if (pem === null) return null;
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is a ${key.asymmetricKeyType} key, not Ed25519`);
    return { key, publicKey: describe(createPublicKey(key)) };
  } catch (cause) {
    throw keyInvalid(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** @throws CortexError key_invalid */
export function parsePublicKey(pem: string, file: string): PublicKey {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is a ${key.asymmetricKeyType} key, not Ed25519`);
    return describe(key);
  } catch (cause) {
    throw keyInvalid(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** 64 raw bytes, as `openssl pkeyutl -verify -rawin` takes them. Equal bytes and key give an equal signature. */
export const signBytes = (key: KeyObject, bytes: Buffer): Buffer => sign(null, bytes, key);

/** The key that made the signature, or null. */
export function signerOf(bytes: Buffer, signature: Buffer, keys: readonly PublicKey[]): PublicKey | null {
  if (signature.length !== 64) return null;
  return keys.find(({ pem }) => verify(null, bytes, createPublicKey(pem), signature)) ?? null;
}

export async function readTrustedKeys(dir: string): Promise<PublicKey[]> {
  const names = await readdir(dir).catch((): string[] => []);
  const files = names.filter((name) => name.endsWith('.pub')).sort();
  return Promise.all(
    files.map(async (name) => parsePublicKey(await readFile(join(dir, name), 'utf8'), join(dir, name))),
  );
}

/** From now on packages of this key are loaded here. */
export async function trustKey(dir: string, key: PublicKey): Promise<string> {
  await mkdir(dir, { recursive: true });
  const file = join(
    dir,
    `${key.fingerprint.slice('SHA256:'.length).replaceAll('/', '_').replaceAll('+', '-').slice(0, 16)}.pub`,
  );
  await writeDurably(file, Buffer.from(key.pem));
  await chmod(file, 0o644);
  return file;
}

function describe(key: KeyObject): PublicKey {
  const der = key.export({ type: 'spki', format: 'der' });
  const pem = key.export({ type: 'spki', format: 'pem' }).toString();
  return { pem, fingerprint: `SHA256:${createHash('sha256').update(der).digest('base64').replace(/=+$/, '')}` };
}
