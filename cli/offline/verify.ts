import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { exitCodes } from '../../contract/errors.ts';
import type { ImageReadiness, ImageStatus } from '../../contract/system.ts';
import { readBill, readLoadedBill } from '../../offline/bill-file.ts';
import { readCatalog } from '../../offline/catalog.ts';
import { imageReadiness } from '../../offline/readiness.ts';
import { renderRepairRequest } from '../../offline/repair.ts';
import { verifyPackage } from '../../offline/verify.ts';
import { type CliContext, readContext } from '../context.ts';
import { formatBytes } from '../format.ts';
import { cortexVersion } from '../version.ts';
import {
  contextFor,
  jsonOption,
  openTrusted,
  type PackageFlags,
  print,
  readsPackage,
  receive,
  reporterFor,
  withEngine,
} from './session.ts';

interface VerifyFlags extends PackageFlags {
  readonly files?: boolean;
  readonly filesOnly?: boolean;
  readonly repairRequest?: string;
}

export function registerVerify(offline: Command): void {
  readsPackage(offline.command('verify'))
    .description('is this machine ready: every image there, and the one that the package records')
    .option('--files', 'also read every byte of the package and compare it with the bill')
    .option('--files-only', 'only that: needs no Docker')
    .option('--repair-request <file>', 'write which chunks are bad; the connected machine answers with just those')
    .addHelpText(
      'after',
      `
Examples
  make verify-offline                                                 exit code 0 only if this machine is ready
  cortex offline verify --files-only --image-dir /media/usb/package   is the copy on the disk whole (needs no Docker)
  cortex offline verify --repair-request repair-request.json          ask outside for the chunks that are bad`,
    )
    .action((flags: VerifyFlags) => verify(flags));
  offline
    .command('status')
    .description('offline mode, Docker and images in a few lines')
    .addOption(jsonOption())
    .action((flags: PackageFlags) => status(flags));
}

async function verify(flags: VerifyFlags): Promise<void> {
  const context = contextFor(flags);
  const readsFiles = flags.files || flags.filesOnly || flags.repairRequest !== undefined;
  const isWhole = readsFiles ? await verifyFiles(context, flags) : true;
  if (flags.filesOnly) {
    process.exitCode = isWhole ? 0 : exitCodes.integrity;
    return;
  }
  const readiness = await readReadiness(context);
  if (flags.json) print(JSON.stringify(readiness));
  else printReadiness(readiness);
  process.exitCode = !isWhole ? exitCodes.integrity : readiness.offline_ready ? 0 : exitCodes.notReady;
}

async function verifyFiles(context: CliContext, flags: VerifyFlags): Promise<boolean> {
  const report = reporterFor(flags);
  const { reader, trust } = await openTrusted(context, { ...flags, allowOlder: true }, report);
  try {
    const { problems, badChunks } = await verifyPackage(reader, report);
    const objects = reader.bill.files.map(({ name }) => ({
      name,
      result: badChunks.some(({ file }) => file === name) ? 'damaged' : 'whole',
    }));
    const result = problems.length === 0 ? 'done' : 'failed';
    await receive(context, cortexVersion(), { act: 'verify', result, objects }, reader, trust);
    if (flags.repairRequest !== undefined) {
      await writeFile(flags.repairRequest, renderRepairRequest(reader, badChunks));
      if (!flags.json) print(`${badChunks.length} chunks are asked for in ${flags.repairRequest}`);
    }
    if (!flags.json && problems.length === 0)
      print(`✓ Every byte of the package is as it was packed (${reader.bill.files.length} files)\n`);
    return problems.length === 0;
  } finally {
    await reader.close();
  }
}

async function readReadiness(context: CliContext): Promise<ImageReadiness> {
  const { rootDir, env, receiptDir, packageDirs, offlineMode } = context;
  return withEngine(context, async (engine) => {
    const bill = (await readLoadedBill(receiptDir)) ?? (await readBill(packageDirs[0] ?? ''));
    return imageReadiness({ engine, catalog: readCatalog({ rootDir, env }), bill, offlineMode });
  });
}

const allOf = ({ engines, infrastructure }: ImageReadiness): ImageStatus[] => [
  engines.vllm,
  engines.llamacpp,
  ...infrastructure,
];

function printReadiness(readiness: ImageReadiness): void {
  const images = allOf(readiness);
  const width = Math.max(48, ...images.map((image) => image.image.length + 1));
  const row = (image: ImageStatus) => {
    const size = image.size_mb === null ? '' : ` (${formatBytes(image.size_mb * 1_048_576)})`;
    const mark = !image.cached ? '✗ not there' : image.identity === 'differs' ? '✗ another image' : `✓${size}`;
    print(`  ${image.image.padEnd(width)} ${mark}`);
    if (image.warning !== null && (image.role !== 'optional' || image.cached)) print(`      → ${image.warning}`);
  };
  print('Checking required images...\n');
  for (const image of images.filter(({ role }) => role !== 'optional')) row(image);
  print('\nOptional images:\n');
  for (const image of images.filter(({ role }) => role === 'optional')) row(image);
  print('');
  if (readiness.bill === null)
    print('There is no bill of a package to compare with, so only the names were checked.\n');
  if (readiness.offline_ready) {
    print('✓ READY FOR OFFLINE OPERATION\n');
    print('All required images are cached locally.');
    print('You can deploy Cortex in a fully offline environment.');
    return;
  }
  print('✗ NOT READY FOR OFFLINE OPERATION\n');
  for (const line of readiness.recommendations) print(line);
}

async function status(flags: PackageFlags): Promise<void> {
  const context = readContext();
  const readiness = await readReadiness(context);
  if (flags.json) {
    print(JSON.stringify(readiness));
    return;
  }
  const { cached_count, total_images_checked } = readiness.summary;
  print(`Offline mode   ${readiness.offline_mode ? 'on' : 'off'} (OFFLINE_MODE in backend/.env)`);
  print(
    `Images         ${cached_count} of ${total_images_checked} there, ${readiness.offline_ready ? 'ready for offline operation' : 'not ready'}`,
  );
  print(`Image store    ${readiness.image_store}`);
  print(
    `Package        ${readiness.bill === null ? 'none loaded' : `Cortex ${readiness.bill.cortex_version}, made ${readiness.bill.created_at}`}`,
  );
  for (const line of readiness.recommendations) print(line);
}
