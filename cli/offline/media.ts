import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CortexError } from '../../contract/errors.ts';
import type { Bill } from '../../offline/bill.ts';
import { readBill } from '../../offline/bill-file.ts';
import { diffBills } from '../../offline/diff.ts';
import { takeInventory } from '../../offline/inventory.ts';
import { renderProvenance } from '../../offline/provenance.ts';
import { RegistryServer, serveExactly } from '../../offline/registry-server.ts';
import { answerRepair } from '../../offline/repair.ts';
import { readContext } from '../context.ts';
import { formatBytes } from '../format.ts';
import { cortexVersion } from '../version.ts';
import {
  contextFor,
  interruptible,
  jsonOption,
  openTrusted,
  type PackageFlags,
  print,
  readsPackage,
  receive,
  reporterFor,
  withEngine,
} from './session.ts';

/** Verbs that look at packages and machines without changing them. */
export function registerMedia(offline: Command): void {
  offline
    .command('inspect')
    .argument('[folder]', 'default: IMAGE_DIR or cortex-offline-images')
    .description('what a package holds')
    .addOption(jsonOption())
    .action((folder: string | undefined, flags: PackageFlags) => inspect(folder, flags));
  offline
    .command('diff')
    .argument('<older>')
    .argument('<newer>')
    .description('what one package has that another has not (folders or manifest.json files)')
    .addOption(jsonOption())
    .action((older: string, newer: string, flags: PackageFlags) => diff(older, newer, flags));
  offline
    .command('inventory')
    .description('write what this machine has: prepare --base makes a package of only what it lacks')
    .option('--output <file>', 'where to', 'cortex-inventory.json')
    .action((flags: { output: string }) => writeInventory(flags));
  readsPackage(offline.command('repair'))
    .argument('<request>', 'the repair-request.json that verify wrote inside')
    .description('answer a repair request: a folder of just the chunks that are bad on the other side')
    .requiredOption('--output <folder>', 'where the answer goes')
    .action((request: string, flags: PackageFlags & { output: string }) => repair(request, flags));
  readsPackage(offline.command('serve'))
    .description('let other machines pull from the package: a read-only registry on the LAN')
    .option('--listen <address>', 'host:port', '0.0.0.0:5000')
    .action((flags: PackageFlags & { listen: string }) => serve(flags));
  readsPackage(offline.command('provenance'))
    .description('write where every image came from and what it is: the record for auditors')
    .option('--output <file>', 'where to', 'image-provenance.txt')
    .action((flags: PackageFlags & { output: string }) => provenance(flags));
}

async function needBill(folder: string): Promise<Bill> {
  const bill = await readBill(resolve(folder.replace(/manifest\.json$/, '') || '.'));
  if (bill === null) throw new CortexError('package_not_found', { dir: folder });
  return bill;
}

async function inspect(folder: string | undefined, { json }: PackageFlags): Promise<void> {
  const bill = await needBill(folder ?? readContext().packageDirs[0] ?? '');
  if (json) {
    print(JSON.stringify(bill));
    return;
  }
  const total = bill.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  print(`Package      ${bill.package_id.slice(0, 16)}  number ${bill.sequence}, made ${bill.created_at}`);
  print(`Cortex       ${bill.cortex_version} for ${bill.platforms.join(', ')}`);
  print(
    `Size         ${formatBytes(total)} in ${bill.files.length} files${bill.volumes > 1 ? ` on ${bill.volumes} volumes` : ''}`,
  );
  if (bill.base !== null)
    print(`Base         ${bill.base.kind} ${bill.base.id.slice(0, 16)} of ${bill.base.created_at}`);
  print('');
  const width = Math.max(10, ...bill.images.map(({ reference }) => reference.length));
  for (const image of bill.images) {
    const digest = (image.index_digest ?? image.manifest_digest).slice(7, 19);
    print(
      `  ${image.reference.padEnd(width)}  ${image.platform}  ${digest}  ${formatBytes(image.sizeBytes).padStart(8)}  ${image.role}`,
    );
  }
  for (const model of bill.models) {
    const size = model.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    print(
      `  models/${model.name.padEnd(width - 7)}  ${model.source}${model.revision === null ? '' : `@${model.revision.slice(0, 12)}`}  ${formatBytes(size)}`,
    );
  }
}

async function diff(older: string, newer: string, { json }: PackageFlags): Promise<void> {
  const result = diffBills(await needBill(older), await needBill(newer));
  if (json) {
    print(JSON.stringify(result));
    return;
  }
  for (const { change, name, detail } of result.changes)
    print(`${{ added: '+', removed: '-', changed: '~' }[change]} ${name}${detail === '' ? '' : `  ${detail}`}`);
  if (result.changes.length === 0) print('Both hold the same images and models.');
  print(
    `\nNew bytes: ${formatBytes(result.newBytes)} of ${formatBytes(result.totalBytes)}; prepare --base carries only those.`,
  );
}

async function writeInventory({ output }: { output: string }): Promise<void> {
  const context = readContext();
  const { receiptDir, modelsDir } = context;
  const found = await withEngine(context, (engine) => takeInventory({ engine, receiptDir, modelsDir }));
  await writeFile(output, `${JSON.stringify(found, null, 1)}\n`);
  print(
    `${output}: ${found.images.length} images, ${found.models.length} models. Carry it out; there: cortex offline prepare --base ${output}`,
  );
}

async function repair(request: string, flags: PackageFlags & { output: string }): Promise<void> {
  const context = contextFor(flags);
  const { reader, trust } = await openTrusted(context, { ...flags, allowOlder: true }, reporterFor(flags));
  try {
    const { chunks, bytes } = await answerRepair(request, reader, resolve(flags.output));
    const objects = [{ name: request, result: `${chunks} chunks` }];
    await receive(context, cortexVersion(), { act: 'repair', result: 'done', objects }, reader, trust);
    print(`✓ ${chunks} chunks, ${formatBytes(bytes)}, in ${flags.output}`);
    print(
      `Carry that folder in; there name it as well: cortex offline load --image-dir PACKAGE --image-dir ${flags.output}`,
    );
  } finally {
    await reader.close();
  }
}

async function serve(flags: PackageFlags & { listen: string }): Promise<void> {
  const colon = flags.listen.lastIndexOf(':');
  const port = Number(flags.listen.slice(colon + 1));
  const host = flags.listen.slice(0, Math.max(0, colon)).replace(/^\[|\]$/g, '');
  if (colon < 1 || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new CortexError('option_invalid', {
      option: '--listen',
      value: flags.listen,
      allowed: 'host:port, such as 0.0.0.0:5000',
    });
  const context = contextFor(flags);
  const report = reporterFor(flags);
  const { reader, trust } = await openTrusted(context, flags, report);
  const signal = interruptible();
  const server = new RegistryServer({
    find: serveExactly(reader),
    onError: (name, error) =>
      report({ kind: 'warning', message: `${name}: ${error instanceof Error ? error.message : String(error)}` }),
  });
  try {
    const at = await server.listen(host, port);
    const objects = reader.bill.images.map(({ reference }) => ({ name: reference, result: 'offered' }));
    await receive(context, cortexVersion(), { act: 'serve', result: 'done', objects }, reader, trust);
    print(`Serving ${reader.bill.images.length} images at ${at.host}:${at.port}, read-only. Ctrl-C ends it.\n`);
    print(
      `On the other machines, in /etc/docker/daemon.json: { "insecure-registries": ["THIS-MACHINE:${at.port}"] }, then for example:`,
    );
    const [first] = reader.bill.images;
    if (first !== undefined) print(`  docker pull THIS-MACHINE:${at.port}/${first.reference}`);
    await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
  } finally {
    await server.close();
    await reader.close();
  }
}

async function provenance(flags: PackageFlags & { output: string }): Promise<void> {
  const context = contextFor(flags);
  const { reader, trust } = await openTrusted(context, { ...flags, allowOlder: true }, reporterFor(flags));
  try {
    await writeFile(flags.output, renderProvenance(reader.bill, trust.key?.fingerprint ?? null));
    print(`${flags.output}: ${reader.bill.images.length} images, ${reader.bill.models.length} models`);
  } finally {
    await reader.close();
  }
}
