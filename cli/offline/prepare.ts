import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { CortexError } from '../../contract/errors.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import type { Signer } from '../../offline/package-writer.ts';
import { preparePackage } from '../../offline/prepare.ts';
import { defaultKeyFile, generateKey, readSigner, trustedKeysDir, trustKey } from '../../offline/signing.ts';
import { parseVolumeSize } from '../../offline/volume-layout.ts';
import { type CliContext, readContext } from '../context.ts';
import { formatBytes } from '../format.ts';
import { cortexVersion } from '../version.ts';
import { interruptible, jsonOption, print, receive, repeated, reporterFor } from './session.ts';

interface PrepareFlags {
  readonly json?: boolean;
  readonly output?: string;
  readonly platform: string[];
  readonly withBuildBases?: boolean;
  readonly only?: string[];
  readonly fromEngine?: string[];
  readonly fromArchive?: string[];
  readonly model?: string[];
  readonly target?: string;
  readonly volumeSize?: string;
  readonly dedupe?: boolean;
  readonly base?: string;
  readonly locked?: boolean;
  readonly lock?: string;
  readonly signKey?: string;
  readonly unsigned?: boolean;
  readonly dryRun?: boolean;
  readonly streams?: number;
}

export function registerPrepare(offline: Command): void {
  offline
    .command('prepare')
    .description('fetch every image from its registry into a signed package (connected machine; no Docker needed)')
    .option('--output <folder>', 'where the package goes (default: OUTPUT_DIR or cortex-offline-images)')
    .addOption(
      new Option('--platform <platform>', 'of the machines that it is for; repeat for several')
        .argParser((value: string, before: string[] | undefined) => repeated(value, before ?? []))
        .default(undefined, 'linux/amd64'),
    )
    .option('--with-build-bases', 'also the Node image, for sites that rebuild Cortex')
    .option(
      '--only <image>',
      'this image (a reference, or its key in the list) and no others; repeat for several',
      repeated,
    )
    .option('--from-engine <image>', 'take this image from the local Docker Engine; repeat for several', repeated)
    .option('--from-archive <file>', 'take the images of a docker save archive; repeat for several', repeated)
    .option(
      '--model <model>',
      'hf:org/name@revision, or a path to a folder or a .gguf file; repeat for several',
      repeated,
    )
    .option('--target <inventory>', 'an inventory of the machine that it is for: warns of models that will not fit')
    .option('--volume-size <size>', 'cut the package into volumes: fat32, dvd, dvd-dl, bd25 or a size such as 16GB')
    .option('--dedupe', 'pack layers that images share once')
    .option('--base <package>', 'pack only what this package or inventory does not have')
    .option('--locked', 'pack exactly what the lock file pins, or fail naming what moved')
    .option('--lock <file>', 'the lock file (default: cortex-offline.lock.json)')
    .option(
      '--sign-key <file>',
      'the private key (default: CORTEX_SIGNING_KEY or ~/.config/cortex/signing.key, made if there is none)',
    )
    .option('--unsigned', 'do not sign')
    .option('--dry-run', 'list what would be packed and how large it is; change nothing')
    .option(
      '--streams <number>',
      'the most downloads at once (default: 8; fewer are used where more bring nothing)',
      Number,
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Stopped in the middle, the same command goes on where it stopped. Nothing changed: nothing is done.

Examples
  make prepare-offline                                            everything, into cortex-offline-images/
  cortex offline prepare --dry-run                                how large would it be
  cortex offline prepare --model hf:org/name@v1 --model /data/m   with two models
  cortex offline prepare --volume-size bd25                       for Blu-ray discs
  cortex offline prepare --base cortex-inventory.json             only what the inside lacks
  cortex offline prepare --locked                                 the same package as last time, byte for byte`,
    )
    .action((flags: PrepareFlags) => prepare(flags));
}

async function prepare(flags: PrepareFlags): Promise<void> {
  const context = readContext();
  const { rootDir, env } = context;
  const outputDir =
    flags.output === undefined ? resolve(rootDir, env.OUTPUT_DIR || 'cortex-offline-images') : resolve(flags.output);
  const report = reporterFor(flags);
  const signer = flags.unsigned || flags.dryRun ? null : await signerFor(context, flags);
  const engine = flags.fromEngine === undefined ? null : new DockerEngine({ host: env.DOCKER_HOST });
  try {
    const bill = await preparePackage({
      rootDir,
      outputDir,
      platforms: flags.platform ?? ['linux/amd64'],
      withBuildBases: flags.withBuildBases ?? false,
      ...(flags.only === undefined ? {} : { only: flags.only }),
      ...(engine === null ? {} : { fromEngine: { references: flags.fromEngine ?? [], engine } }),
      savedArchives: flags.fromArchive ?? [],
      models: flags.model ?? [],
      targetFile: flags.target,
      volumeBytes: flags.volumeSize === undefined ? undefined : parseVolumeSize(flags.volumeSize),
      dedupe: flags.dedupe ?? false,
      baseFile: flags.base,
      locked: flags.locked ?? false,
      lockFile: flags.lock === undefined ? undefined : resolve(flags.lock),
      signer,
      dryRun: flags.dryRun ?? false,
      streams: flags.streams,
      env,
      report,
      signal: interruptible(),
    });
    if (bill === null) return;
    const reader = await PackageReader.open([outputDir]);
    const trust = signer === null ? null : { key: signer.publicKey, exceptions: [], warnings: [] };
    const objects = bill.files.map(({ name, sha256 }) => ({ name, result: sha256 }));
    await receive(context, cortexVersion(), { act: 'prepare', result: 'done', objects }, reader, trust);
    await reader.close();
    if (flags.json) return;
    const totalBytes = bill.files.reduce((total, file) => total + file.sizeBytes, 0);
    const volumes = bill.volumes > 1 ? `, ${bill.volumes} volumes` : '';
    print(
      `\n✓ The package is whole: ${outputDir} (${bill.images.length} images, ${formatBytes(totalBytes)}${volumes})`,
    );
    if (signer !== null) {
      print(`  Signed with ${signer.publicKey.fingerprint}`);
      print('  Give this fingerprint to the other side by another way than the disk: on paper, by telephone.');
    }
    print('\nNext: copy this repository and that folder to the medium; inside, type make load-offline');
  } finally {
    await engine?.close();
  }
}

/** The key that signs; the first package makes one. Its public half goes to this checkout, so that a carried copy knows it. */
export async function signerFor(
  { rootDir, env }: CliContext,
  { signKey }: { readonly signKey?: string },
): Promise<Signer> {
  const file = signKey ?? defaultKeyFile(env);
  let signer = await readSigner(file);
  if (signer === null && signKey === undefined) {
    const made = await generateKey(file);
    process.stderr.write(
      `A key was made to sign packages with: ${file} (${made.fingerprint}). Keep it; it is not carried across.\n`,
    );
    signer = await readSigner(file);
  }
  if (signer === null) throw new CortexError('key_invalid', { file, reason: 'it is not there' });
  await trustKey(trustedKeysDir(rootDir), signer.publicKey);
  return signer;
}
