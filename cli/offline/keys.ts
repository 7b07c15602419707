import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CortexError } from '../../contract/errors.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import {
  defaultKeyFile,
  generateKey,
  parsePublicKey,
  readTrustedKeys,
  trustedKeysDir,
  trustKey,
} from '../../offline/signing.ts';
import { carriedKey } from '../../offline/trust.ts';
import { readContext } from '../context.ts';
import { cortexVersion } from '../version.ts';
import { contextFor, print, receive, repeated } from './session.ts';

export function registerKeys(offline: Command): void {
  offline
    .command('keygen')
    .description('make an Ed25519 key pair to sign packages with')
    .option(
      '--output <file>',
      'the private key; the public one gets .pub (default: CORTEX_SIGNING_KEY or ~/.config/cortex/signing.key)',
    )
    .action((flags: { output?: string }) => keygen(flags));
  offline
    .command('trust')
    .argument('[key]', 'a fingerprint (SHA256:…) that you compared, or a public key file')
    .description('load packages of this key on this machine; without a key: list those that are trusted')
    .option('--image-dir <folder>', 'where the package lies whose key has that fingerprint', repeated)
    .action((key: string | undefined, flags: { imageDir?: string[] }) => trust(key, flags));
}

async function keygen({ output }: { output?: string }): Promise<void> {
  const { env, rootDir } = readContext();
  const file = output === undefined ? defaultKeyFile(env) : resolve(output);
  const made = await generateKey(file);
  await trustKey(trustedKeysDir(rootDir), made);
  print(`Private key   ${file}   (keep it on this machine)`);
  print(`Public key    ${file}.pub`);
  print(`Fingerprint   ${made.fingerprint}`);
  print(
    '\nBring the public key, or its fingerprint on paper, to the inside by another way than the packages. There: cortex offline trust FILE',
  );
}

async function trust(key: string | undefined, flags: { imageDir?: string[] }): Promise<void> {
  const context = contextFor(flags);
  const dir = trustedKeysDir(context.rootDir);
  if (key === undefined) {
    const keys = await readTrustedKeys(dir);
    for (const { fingerprint } of keys) print(fingerprint);
    if (keys.length === 0) print('No key is trusted here yet.');
    return;
  }
  const found = existsSync(key)
    ? parsePublicKey(await readFile(key, 'utf8'), key)
    : await keyOfPackage(key, context.packageDirs);
  await trustKey(dir, found);
  const objects = [{ name: found.fingerprint, result: 'trusted' }];
  await receive(context, cortexVersion(), { act: 'trust', result: 'done', objects }, null, null);
  print(`✓ Packages signed with ${found.fingerprint} are loaded here from now on.`);
}

/** The fingerprint came by another way; the key itself may come with the package. */
async function keyOfPackage(fingerprint: string, dirs: readonly string[]) {
  if (!fingerprint.startsWith('SHA256:'))
    throw new CortexError('key_invalid', {
      file: fingerprint,
      reason: 'it is neither a file nor a fingerprint (SHA256:…)',
    });
  const reader = await PackageReader.open(dirs);
  const carried = await carriedKey(reader);
  await reader.close();
  if (carried?.fingerprint === fingerprint) return carried;
  const reason =
    carried === null ? 'the package brings no key' : `the package brings another key, ${carried.fingerprint}`;
  throw new CortexError('key_invalid', { file: fingerprint, reason });
}
