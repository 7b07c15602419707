#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { CortexError, exitCodes } from '../contract/errors.ts';
import { registerConfig } from './config/register.ts';
import { findRoot } from './context.ts';
import { registerOffline } from './offline/register.ts';
import { RefusedError, registerServer } from './server.ts';

const program = new Command('cortex')
  .description('Language models on your own machines, without the internet.')
  .version(String(Object(JSON.parse(readFileSync(join(findRoot(), 'package.json'), 'utf8'))).version))
  .showHelpAfterError('(cortex --help lists the commands)')
  .addHelpText(
    'after',
    '\nExit codes: 0 done · 1 failed · 2 wrong usage or setting · 3 integrity · 4 Docker · 5 disk space · 6 network · 7 not ready · 8 changes that were not made · 130 interrupted',
  )
  .exitOverride();
registerOffline(program);
registerServer(program);
registerConfig(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = explain(error);
}

function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  if (error instanceof CortexError) {
    process.stderr.write(`Error: ${error.message}\n  → ${error.hint}\n`);
    return error.exit;
  }
  if (error instanceof RefusedError) {
    process.stderr.write(`Error: ${error.message}\n`);
    return exitCodes.failed;
  }
  process.stderr.write(`Error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitCodes.failed;
}
