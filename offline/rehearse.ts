import { existsSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from './events.ts';
import type { PackageReader } from './package-reader.ts';
import { openRehearsalGround, type RehearsalGround } from './rehearsal-ground.ts';

export interface RehearsalStep {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** The last lines of what it printed, where it failed. */
  readonly detail: string;
}

export interface RehearsalResult {
  readonly steps: readonly RehearsalStep[];
  readonly escapedPackets: number;
}

export interface RehearseOptions {
  readonly rootDir: string;
  readonly reader: PackageReader;
  readonly packageDirs: readonly string[];
  /** Flags of `load`: an unsigned package is rehearsed only where it would be loaded. */
  readonly loadFlags: readonly string[];
  readonly workDir: string;
  readonly report: Report;
}

// What the inside gets beside the package: everything but what was built or belongs to this machine.
const carried = ['Makefile', 'cortex', 'versions.env', 'deploy', 'scripts', 'package.json'];

/**
 * The inside, before the drive leaves: the package is loaded into an empty Engine on a network without a way out, by the
 * commands that the inside will type and with nothing but the package's own image; the stack is started, and a model of the
 * package answers. Every packet that tries to leave is counted.
 * @throws CortexError program_missing
 */
export async function rehearse(options: RehearseOptions): Promise<RehearsalResult> {
  const { rootDir, packageDirs, reader, report, loadFlags } = options;
  const ground = await openRehearsalGround(options.workDir);
  const steps: RehearsalStep[] = [];
  const checkout = join(ground.dir, 'cortex');
  const models = join(ground.dir, 'models');
  const env = {
    CORTEX_RUNTIME: '',
    IMAGE_DIR: packageDirs.join(':'),
    MODE: 'compose',
    CORTEX_MODELS_DIR_HOST: models,
    PATH: await bareRuntimePath(ground),
  };
  const step = async (name: string, command: readonly string[]) => {
    const started = Date.now();
    report({ kind: 'note', message: `${name}…` });
    const { code, output } = await ground.exec(command, { cwd: checkout, env });
    const seconds = (Date.now() - started) / 1000;
    const detail = code === 0 ? '' : output.trim().split('\n').slice(-12).join('\n');
    steps.push({ name, ok: code === 0, seconds, detail });
    return { ok: code === 0, output };
  };
  try {
    await mkdir(models, { recursive: true });
    await mkdir(join(checkout, 'backend'), { recursive: true });
    for (const name of [...carried, '.cortex/trusted-keys'])
      if (existsSync(join(rootDir, name))) await cp(join(rootDir, name), join(checkout, name), { recursive: true });
    await writeFile(join(checkout, 'backend/.env'), `OFFLINE_MODE=True\nCORTEX_MODELS_DIR_HOST=${models}\n`);
    const loaded = await step('Load the package', ['sh', 'scripts/load-offline-deployment.sh', ...loadFlags]);
    const isReady = loaded.ok && (await step('Verify the images', ['./cortex', 'offline', 'verify'])).ok;
    if (isReady && (await step('Start the stack', ['sh', 'scripts/stack.sh', 'up'])).ok) {
      await step('Ask for its health', ['./cortex', 'health']);
      const { ok, output } = await step('Make the first administrator', ['sh', 'scripts/stack.sh', 'bootstrap']);
      const password = /Password:\s+(\S+)/.exec(output)?.[1];
      for (const { name } of ok && password !== undefined ? reader.bill.models : [])
        await step(`Ask the model ${name}`, [
          'docker',
          'exec',
          '-e',
          `REHEARSAL_PASSWORD=${password}`,
          'cortex-cortex-1',
          'node',
          'dist/cli/main.js',
          'offline',
          'ask-model',
          name,
        ]);
      await step('Stop the stack', ['sh', 'scripts/stack.sh', 'down']);
    }
    return { steps, escapedPackets: await ground.escapedPackets() };
  } finally {
    await ground.close();
  }
}

/** The inside has no Node: a PATH without it, so that nothing of this machine's own helps. */
async function bareRuntimePath({ dir }: RehearsalGround): Promise<string> {
  const bin = join(dir, 'bin');
  await mkdir(bin, { recursive: true });
  for (const program of ['node', 'npm', 'npx'])
    await writeFile(join(bin, program), '#!/bin/sh\nexit 127\n', { mode: 0o755 });
  return `${bin}:${process.env.PATH ?? ''}`;
}
