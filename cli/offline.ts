import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { CortexError, exitCodes } from '../contract/errors.ts';
import type { ImageReadiness, ImageStatus } from '../contract/system.ts';
import { DockerEngine } from '../docker/engine.ts';
import { readBill } from '../offline/bill.ts';
import { readCatalog } from '../offline/catalog.ts';
import type { Report } from '../offline/events.ts';
import { loadPackage, needBill } from '../offline/load.ts';
import { preparePackage } from '../offline/prepare.ts';
import { imageReadiness } from '../offline/readiness.ts';
import { verifyPackage } from '../offline/verify.ts';
import { type CliContext, readContext } from './context.ts';
import { formatBytes } from './format.ts';
import { jsonReporter, textReporter } from './reporter.ts';

interface Shared {
  readonly json?: boolean;
  readonly imageDir?: string;
}

const print = (text: string) => process.stdout.write(`${text}\n`);
const reporterFor = ({ json }: Shared): Report => (json ? jsonReporter(process.stdout) : textReporter(process.stdout));

/** Ctrl-C once stops in order, so that the same command goes on; twice stops at once. */
function interruptible(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  process.once('SIGTERM', () => controller.abort());
  return controller.signal;
}

/** `cortex offline …`: the package's verbs. */
export function registerOffline(program: Command): void {
  const offline = program.command('offline').description('make, load and check the package that crosses the gap');
  const json = () => new Option('--json', 'events and results as JSON lines, for programs');
  const imageDir = () =>
    new Option('--image-dir <folder>', 'the package (default: IMAGE_DIR or cortex-offline-images)');

  offline
    .command('prepare')
    .description('fetch every image from its registry into a package (connected machine; no Docker needed)')
    .option('--output <folder>', 'where the package goes (default: OUTPUT_DIR or cortex-offline-images)')
    .option('--platform <platform>', 'of the machine that it is for', 'linux/amd64')
    .option('--with-build-bases', 'also the Node image, for sites that rebuild Cortex')
    .addOption(json())
    .action((options: Shared & { output?: string; platform: string; withBuildBases?: boolean }) => prepare(options));
  offline
    .command('load')
    .description('check a package and load its images into Docker')
    .addOption(imageDir())
    .addOption(json())
    .action((options: Shared) => load(options));
  offline
    .command('verify')
    .description('is this machine ready: every image there, and the one that the package records')
    .option('--files', 'also read every file of the package and compare it with the bill')
    .addOption(imageDir())
    .addOption(json())
    .action((options: Shared & { files?: boolean }) => verify(options));
  offline
    .command('status')
    .description('offline mode, Docker and images in a few lines')
    .addOption(json())
    .action((options: Shared) => status(options));
}

async function prepare(
  options: Shared & { output?: string; platform: string; withBuildBases?: boolean },
): Promise<void> {
  const { rootDir, env } = readContext();
  const outputDir = resolve(rootDir, options.output ?? (env.OUTPUT_DIR || 'cortex-offline-images'));
  const bill = await preparePackage({
    rootDir,
    outputDir,
    platform: options.platform,
    withBuildBases: options.withBuildBases ?? false,
    env,
    report: reporterFor(options),
    signal: interruptible(),
  });
  if (options.json) return;
  const totalBytes = bill.files.reduce((total, file) => total + file.sizeBytes, 0);
  print(`\n✓ The package is whole: ${outputDir} (${bill.images.length} images, ${formatBytes(totalBytes)})\n`);
  print('Next: copy this repository and that folder to the medium; inside, type make load-offline');
}

async function load(options: Shared): Promise<void> {
  const { packageDir, receiptDir, env } = contextFor(options);
  const engine = new DockerEngine({ host: env.DOCKER_HOST });
  try {
    const { loaded, failures } = await loadPackage({
      packageDir,
      receiptDir,
      engine,
      report: reporterFor(options),
      signal: interruptible(),
    });
    if (!options.json) {
      print(`Successfully loaded: ${loaded}`);
      print(`Failed: ${failures.length}`);
      print(
        failures.length === 0
          ? '✓ All images loaded successfully!'
          : '✗ Some images were not loaded: mend the files named above, then type the same command again.',
      );
    }
    process.exitCode = failures[0]?.error.exit ?? 0;
  } finally {
    await engine.close();
  }
}

const contextFor = ({ imageDir }: Shared): CliContext => {
  const context = readContext();
  return imageDir === undefined ? context : { ...context, packageDir: resolve(imageDir) };
};

async function readReadiness({
  rootDir,
  env,
  receiptDir,
  packageDir,
  offlineMode,
}: CliContext): Promise<ImageReadiness> {
  const engine = new DockerEngine({ host: env.DOCKER_HOST });
  try {
    const bill = (await readBill(receiptDir)) ?? (await readBill(packageDir));
    return await imageReadiness({ engine, catalog: readCatalog({ rootDir, env }), bill, offlineMode });
  } finally {
    await engine.close();
  }
}

async function verify(options: Shared & { files?: boolean }): Promise<void> {
  const context = contextFor(options);
  const fileProblems = options.files
    ? await verifyPackage(context.packageDir, await needBill(context.packageDir), reporterFor(options))
    : [];
  const readiness = await readReadiness(context);
  if (options.json) print(JSON.stringify(readiness));
  else printReadiness(readiness);
  process.exitCode = fileProblems.length > 0 ? exitCodes.integrity : readiness.offline_ready ? 0 : exitCodes.notReady;
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

async function status(options: Shared): Promise<void> {
  const context = readContext();
  const readiness = await readReadiness(context).catch((error: unknown) => {
    if (error instanceof CortexError && error.code === 'docker_unavailable') return error;
    throw error;
  });
  if (readiness instanceof CortexError) throw readiness;
  if (options.json) {
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
