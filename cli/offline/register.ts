import type { Command } from 'commander';
import { registerBackup } from './backup.ts';
import { registerKeys } from './keys.ts';
import { registerLoad } from './load.ts';
import { registerMedia } from './media.ts';
import { registerPrepare } from './prepare.ts';
import { registerReceipts } from './receipts.ts';
import { registerRehearse } from './rehearse.ts';
import { registerVerify } from './verify.ts';

/** `cortex offline …`: the package's verbs. */
export function registerOffline(program: Command): void {
  const offline = program.command('offline').description('make, load and check the package that crosses the gap');
  registerPrepare(offline);
  registerLoad(offline);
  registerVerify(offline);
  registerKeys(offline);
  registerMedia(offline);
  registerReceipts(offline);
  registerBackup(offline);
  registerRehearse(offline);
}
