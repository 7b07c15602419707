import { copyFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readReceipts } from '../../offline/receipt.ts';
import { readContext } from '../context.ts';
import { jsonOption, print, receiptFile } from './session.ts';

/** `cortex offline receipt …`: the chain of custody. */
export function registerReceipts(offline: Command): void {
  const receipt = offline
    .command('receipt')
    .description('the log of what was prepared, checked and loaded on this machine');
  receipt
    .command('show', { isDefault: true })
    .description('its entries, the newest last')
    .addOption(jsonOption())
    .action(({ json }: { json?: boolean }) => show(json ?? false));
  receipt
    .command('verify')
    .argument('[file]', 'an exported log (default: the one of this machine)')
    .description('was any line changed, taken out or put in')
    .action((file: string | undefined) => verify(file));
  receipt
    .command('export')
    .argument('<file>')
    .description('a copy for the auditor')
    .action((file: string) => exportTo(file));
}

async function show(json: boolean): Promise<void> {
  const entries = await readReceipts(receiptFile(readContext()));
  if (json) for (const entry of entries) print(JSON.stringify(entry));
  else if (entries.length === 0) print('Nothing was prepared, checked or loaded here yet.');
  else {
    for (const { number, at, act, result, operator, host, package_id, key, exceptions, objects } of entries) {
      const allowed = exceptions.length === 0 ? '' : `  (${exceptions.join(', ')})`;
      print(
        `${String(number).padStart(4)}  ${at}  ${act.padEnd(8)} ${result.padEnd(6)}  ${operator}@${host}  ${package_id?.slice(0, 12) ?? '-'.repeat(12)}  ${objects.length} objects${allowed}`,
      );
      if (key !== null) print(`      signed with ${key}`);
    }
  }
}

async function verify(file: string | undefined): Promise<void> {
  const path = file === undefined ? receiptFile(readContext()) : resolve(file);
  const entries = await readReceipts(path);
  print(`✓ ${entries.length} entries, each follows the one before it. Last: ${entries.at(-1)?.hash ?? 'none'}`);
}

async function exportTo(file: string): Promise<void> {
  const source = receiptFile(readContext());
  const entries = await readReceipts(source);
  await copyFile(source, resolve(file));
  print(`${file}: ${entries.length} entries. Keep its last hash elsewhere: ${entries.at(-1)?.hash ?? 'none'}`);
}
