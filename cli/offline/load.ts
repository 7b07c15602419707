import type { Command } from 'commander';
import { CortexError } from '../../contract/errors.ts';
import { loadIntoContainerd } from '../../offline/containerd.ts';
import { type LoadResult, loadPackage } from '../../offline/load.ts';
import { pushPackage } from '../../offline/push.ts';
import { cortexVersion } from '../version.ts';
import {
  contextFor,
  interruptible,
  openTrusted,
  type PackageFlags,
  print,
  readsPackage,
  receive,
  repeated,
  reporterFor,
  withEngine,
} from './session.ts';

interface LoadFlags extends PackageFlags {
  readonly method: 'auto' | 'loopback' | 'stream';
  readonly into?: string;
  readonly rename?: string[];
  readonly insecure?: boolean;
  readonly ctr?: string | true;
  readonly models: boolean;
}

export function registerLoad(offline: Command): void {
  readsPackage(offline.command('load'))
    .description('check a package, load its images into Docker and place its models')
    .option('--method <way>', 'auto, loopback (the Engine pulls from us) or stream (into the Engine)', 'auto')
    .option('--no-models', 'leave the models in the package')
    .option('--into <registry>', 'put the images into a registry (host:port) instead of the Engine')
    .option(
      '--rename <from=to>',
      'with --into: another repository for an image, e.g. llamacpp=llamacpp; repeat',
      repeated,
    )
    .option('--insecure', 'with --into: plain HTTP also to another machine')
    .option(
      '--ctr [namespace]',
      'import into containerd with ctr, where there is no Docker (default namespace: default)',
    )
    .addHelpText(
      'after',
      `
What is there already does not travel. Nothing that is damaged is offered to the Engine. Volumes are read where they are, in any order.

Examples
  make load-offline                                                     cortex-offline-images/ of this folder
  cortex offline load --image-dir /media/one --image-dir /media/two     a package on two sticks
  cortex offline load --into localhost:5000 --rename llamacpp=llamacpp  into a registry, for other machines
  cortex offline load --ctr                                             where there is only containerd`,
    )
    .action((flags: LoadFlags) => load(flags));
}

async function load(flags: LoadFlags): Promise<void> {
  const context = contextFor(flags);
  const report = reporterFor(flags);
  const signal = interruptible();
  const { reader, trust } = await openTrusted(context, flags, report);
  try {
    if (flags.into !== undefined) {
      const pushed = await pushPackage({
        reader,
        registry: flags.into,
        renames: parseRenames(flags.rename ?? []),
        insecure: flags.insecure ?? false,
        report,
        signal,
      });
      const objects = pushed.map(({ name }) => ({ name, result: 'pushed' }));
      await receive(context, cortexVersion(), { act: 'push', result: 'done', objects }, reader, trust);
      if (flags.json) return;
      print('\n✓ All images are in the registry. In backend/.env of each machine:\n');
      for (const { image, name } of pushed) {
        if (image.key === 'vllm') print(`VLLM_IMAGE=${name}`);
        if (image.key === 'llamacpp') print(`LLAMACPP_IMAGE=${name}`);
      }
      return;
    }
    const { receiptDir, modelsDir } = context;
    const result =
      flags.ctr === undefined
        ? await withEngine(context, (engine) =>
            loadPackage({
              reader,
              receiptDir,
              engine,
              modelsDir: flags.models ? modelsDir : null,
              method: flags.method,
              report,
              signal,
            }),
          )
        : await loadIntoContainerd({
            reader,
            receiptDir,
            namespace: flags.ctr === true ? 'default' : flags.ctr,
            report,
            signal,
          });
    await receive(
      context,
      cortexVersion(),
      { act: 'load', result: result.failures.length === 0 ? 'done' : 'failed', objects: [...result.objects] },
      reader,
      trust,
    );
    conclude(result, flags);
  } finally {
    await reader.close();
  }
}

function conclude({ loaded, failures }: LoadResult, { json }: LoadFlags): void {
  if (!json) {
    print(`Successfully loaded: ${loaded}`);
    print(`Failed: ${failures.length}`);
    print(
      failures.length === 0
        ? '✓ All images loaded successfully!'
        : '✗ Some images were not loaded: mend the files named above, then type the same command again.',
    );
  }
  process.exitCode = failures[0]?.error.exit ?? 0;
}

/** @throws CortexError option_invalid */
function parseRenames(rules: readonly string[]): Map<string, string> {
  return new Map(
    rules.map((rule) => {
      const [from = '', to = ''] = rule.split('=');
      if (from === '' || !/^[a-z0-9]+(?:[._/-][a-z0-9]+)*$/.test(to))
        throw new CortexError('option_invalid', {
          option: '--rename',
          value: rule,
          allowed: 'FROM=TO, such as vllm/vllm-openai=vllm-openai',
        });
      return [from, to] as const;
    }),
  );
}
