import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { CortexError } from '../../contract/errors.ts';
import { DockerEngine } from '../../docker/engine.ts';
import type { Report } from '../../offline/events.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import { appendReceipt, type ReceiptContent } from '../../offline/receipt.ts';
import { type PublicKey, parsePublicKey, readTrustedKeys, trustedKeysDir } from '../../offline/signing.ts';
import { checkTrust, type TrustResult } from '../../offline/trust.ts';
import { type CliContext, readContext } from '../context.ts';
import { jsonReporter, textReporter } from '../reporter.ts';

/** What most verbs take. */
export interface PackageFlags {
  readonly json?: boolean;
  readonly imageDir?: string[];
  readonly key?: string[];
  readonly allowUnsigned?: boolean;
  readonly allowOlder?: boolean;
}

export const print = (text: string): boolean => process.stdout.write(`${text}\n`);
export const repeated = (value: string, before: string[] = []): string[] => [...before, value];
export const reporterFor = ({ json }: Pick<PackageFlags, 'json'>): Report =>
  json ? jsonReporter(process.stdout) : textReporter(process.stdout);

export const jsonOption = (): Option => new Option('--json', 'events and results as JSON lines, for programs');

/** Adds the flags of a verb that reads a package. */
export function readsPackage(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--image-dir <folder>',
        'the package or one of its volumes; repeat for each (default: IMAGE_DIR or cortex-offline-images)',
      ).argParser(repeated),
    )
    .addOption(
      new Option('--key <file>', 'a public key to trust for this command; repeat for several').argParser(repeated),
    )
    .option('--allow-unsigned', 'take a package that nobody vouches for; the receipt records it')
    .option('--allow-older', 'take a package that is older than one that was loaded here; the receipt records it')
    .addOption(jsonOption());
}

/** Ctrl-C once stops in order, so that the same command goes on; twice stops at once. */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  process.once('SIGTERM', () => controller.abort());
  return controller.signal;
}

export function contextFor({ imageDir }: PackageFlags): CliContext {
  const context = readContext();
  return imageDir === undefined ? context : { ...context, packageDirs: imageDir.map((dir) => resolve(dir)) };
}

export const receiptFile = ({ receiptDir }: CliContext): string => join(receiptDir, 'receipts.jsonl');

export async function withEngine<T>({ env }: CliContext, use: (engine: DockerEngine) => Promise<T>): Promise<T> {
  const engine = new DockerEngine({ host: env.DOCKER_HOST });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** Opens a package that someone vouches for. @throws CortexError as checkTrust */
export async function openTrusted(
  context: CliContext,
  flags: PackageFlags,
  report: Report,
): Promise<{ reader: PackageReader; trust: TrustResult }> {
  const reader = await PackageReader.open(context.packageDirs);
  try {
    const trust = await checkTrust(reader, {
      trusted: await trustedKeys(context, flags.key ?? []),
      receiptDir: context.receiptDir,
      allowUnsigned: flags.allowUnsigned ?? false,
      allowOlder: flags.allowOlder ?? false,
    });
    for (const message of trust.warnings) report({ kind: 'warning', message });
    if (trust.key !== null) report({ kind: 'note', message: `Signed with ${trust.key.fingerprint}` });
    return { reader, trust };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

export async function trustedKeys({ rootDir }: CliContext, files: readonly string[]): Promise<PublicKey[]> {
  const named = await Promise.all(
    files.map(async (file) => {
      const pem = await readFile(file, 'utf8').catch((cause: unknown) => {
        throw new CortexError('key_invalid', { file, reason: 'it is not there' }, { cause });
      });
      return parsePublicKey(pem, file);
    }),
  );
  return [...named, ...(await readTrustedKeys(trustedKeysDir(rootDir)))];
}

type Act = Pick<ReceiptContent, 'act' | 'result' | 'objects'>;

/** Writes an act on a package into the log of this machine. */
export async function receive(
  context: CliContext,
  version: string,
  act: Act,
  reader: PackageReader | null,
  trust: TrustResult | null,
): Promise<void> {
  await appendReceipt(receiptFile(context), {
    ...act,
    cortex_version: version,
    media: reader?.media.map(({ dir }) => dir) ?? [],
    package_id: reader?.bill.package_id ?? null,
    sequence: reader?.bill.sequence ?? null,
    created_at: reader?.bill.created_at ?? null,
    key: trust?.key?.fingerprint ?? null,
    exceptions: [...(trust?.exceptions ?? [])],
  });
}
