import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { CortexError } from '../../contract/errors.ts';
import { readBundle } from '../../offline/bundle-import.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import { type PrepareOptions, preparePackage } from '../../offline/prepare.ts';
import { planPrune, prune } from '../../offline/prune.ts';
import { type CliContext, readContext } from '../context.ts';
import { formatBytes } from '../format.ts';
import { cortexVersion } from '../version.ts';
import { signerFor } from './prepare.ts';
import { interruptible, jsonOption, print, receive, reporterFor, withEngine } from './session.ts';

export function registerBackup(offline: Command): void {
  offline
    .command('backup')
    .argument('[images...]', 'default: every image that has a name')
    .description(
      "pack the Engine's images as they are, for the day when its disk is lost; cortex offline load restores them",
    )
    .option('--output <folder>', 'default: backups/images-<date>')
    .addOption(jsonOption())
    .action((images: string[], flags: { output?: string; json?: boolean }) => backup(images, flags));
  offline
    .command('import')
    .argument('<bundle>', 'a folder with bundle.json or images.json, as earlier Cortex versions wrote them')
    .description('make a package of a bundle of an earlier Cortex: images and models, every sum checked')
    .requiredOption('--output <folder>', 'where the package goes')
    .addOption(jsonOption())
    .action((bundle: string, flags: { output: string; json?: boolean }) => importBundle(bundle, flags));
  offline
    .command('prune')
    .description('remove images that only older packages brought; lists them, and removes nothing without --yes')
    .option('--keep <packages>', 'how many packages to keep, the newest counted first', Number, 2)
    .option('--yes', 'remove what the list names')
    .addOption(jsonOption())
    .action((flags: { keep: number; yes?: boolean; json?: boolean }) => pruneImages(flags));
}

type Packing = Pick<PrepareOptions, 'outputDir' | 'fromEngine' | 'savedArchives' | 'models'>;

/** Makes a package of what is on this machine. */
async function pack(context: CliContext, act: 'backup' | 'restore', packing: Packing, json: boolean): Promise<void> {
  const { rootDir, env } = context;
  const signer = await signerFor(context, {});
  await mkdir(packing.outputDir, { recursive: true });
  const bill = await preparePackage({
    ...packing,
    rootDir,
    env,
    platforms: [`linux/${process.arch === 'x64' ? 'amd64' : process.arch}`],
    only: [],
    lockFile: join(packing.outputDir, '..', `.${act}.lock.json`),
    signer,
    report: reporterFor({ json }),
    signal: interruptible(),
  });
  if (bill === null) return;
  const reader = await PackageReader.open([packing.outputDir]);
  const trust = { key: signer.publicKey, exceptions: [], warnings: [] };
  const objects = bill.images.map(({ reference, config_digest }) => ({ name: reference, result: config_digest }));
  await receive(context, cortexVersion(), { act, result: 'done', objects }, reader, trust);
  await reader.close();
  if (json) return;
  const totalBytes = bill.files.reduce((total, file) => total + file.sizeBytes, 0);
  print(
    `\n✓ ${bill.images.length} images, ${bill.models.length} models, ${formatBytes(totalBytes)} in ${packing.outputDir}`,
  );
  print(`To load it: cortex offline load --image-dir ${packing.outputDir}`);
}

async function backup(images: readonly string[], flags: { output?: string; json?: boolean }): Promise<void> {
  const context = readContext();
  const outputDir = resolve(flags.output ?? join('backups', `images-${new Date().toISOString().slice(0, 10)}`));
  await withEngine(context, async (engine) => {
    const references = images.length > 0 ? images : (await engine.images.list()).flatMap(({ repoTags }) => repoTags);
    if (references.length === 0) throw new CortexError('not_found', { what: 'image', id: 'in this Engine' });
    await pack(context, 'backup', { outputDir, fromEngine: { references, engine } }, flags.json ?? false);
  });
}

async function importBundle(folder: string, flags: { output: string; json?: boolean }): Promise<void> {
  const bundle = await readBundle(resolve(folder));
  const packing = { outputDir: resolve(flags.output), savedArchives: bundle.archives, models: bundle.models };
  await pack(readContext(), 'restore', packing, flags.json ?? false);
}

async function pruneImages({ keep, yes, json }: { keep: number; yes?: boolean; json?: boolean }): Promise<void> {
  if (!Number.isInteger(keep) || keep < 1)
    throw new CortexError('option_invalid', {
      option: '--keep',
      value: String(keep),
      allowed: 'a number of 1 or more',
    });
  const context = readContext();
  await withEngine(context, async (engine) => {
    const plan = await planPrune(engine, context.receiptDir, keep);
    if (json) print(JSON.stringify({ remove: plan.images, done: yes ?? false }));
    else {
      for (const { reference, sizeBytes } of plan.images) print(`  ${reference}  ${formatBytes(sizeBytes)}`);
      if (plan.images.length === 0) print(`Nothing to remove: all images are of the newest ${keep} packages.`);
    }
    if (!yes) {
      if (plan.images.length > 0 && !json)
        print('\nNothing was removed. To remove what is listed: cortex offline prune --yes');
      return;
    }
    const objects = await prune(engine, context.receiptDir, plan);
    await receive(context, cortexVersion(), { act: 'prune', result: 'done', objects }, null, null);
    if (!json) for (const { name, result } of objects) print(`${result === 'removed' ? '✓' : '!'} ${name}: ${result}`);
  });
}
