import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { exitCodes } from '../../contract/errors.ts';
import { routes } from '../../contract/routes.ts';
import { rehearse } from '../../offline/rehearse.ts';
import { call, serverUrl } from '../server.ts';
import { cortexVersion } from '../version.ts';
import { contextFor, openTrusted, type PackageFlags, print, readsPackage, receive, reporterFor } from './session.ts';

export function registerRehearse(offline: Command): void {
  readsPackage(offline.command('rehearse'))
    .description(
      'try the package on this machine as the inside will: an empty Engine without a way out (needs root and dockerd)',
    )
    .option('--work-dir <folder>', 'where the Engine keeps its images meanwhile', tmpdir())
    .action((flags: PackageFlags & { workDir: string }) => tryPackage(flags));
  offline
    .command('ask-model', { hidden: true })
    .argument('<folder>')
    .action((folder: string) => askModel(folder));
}

async function tryPackage(flags: PackageFlags & { workDir: string }): Promise<void> {
  const context = contextFor(flags);
  const report = reporterFor(flags);
  const { reader, trust } = await openTrusted(context, { ...flags, allowOlder: true }, report);
  try {
    const { rootDir, packageDirs } = context;
    const loadFlags = flags.allowUnsigned ? ['--allow-unsigned'] : [];
    const { steps, escapedPackets } = await rehearse({
      rootDir,
      reader,
      packageDirs,
      loadFlags,
      workDir: flags.workDir,
      report,
    });
    const isFine = steps.every(({ ok }) => ok) && escapedPackets === 0;
    const objects = steps.map(({ name, ok }) => ({ name, result: ok ? 'done' : 'failed' }));
    await receive(
      context,
      cortexVersion(),
      { act: 'rehearse', result: isFine ? 'done' : 'failed', objects },
      reader,
      trust,
    );
    if (flags.json) print(JSON.stringify({ kind: 'rehearsed', ok: isFine, steps, escaped_packets: escapedPackets }));
    else {
      print('');
      for (const { name, ok, seconds, detail } of steps) {
        print(`  ${ok ? '✓' : '✗'} ${name.padEnd(32)} ${seconds.toFixed(1)} s`);
        if (detail !== '') print(detail.replace(/^/gm, '      '));
      }
      print(`  ${escapedPackets === 0 ? '✓' : '✗'} ${'Packets that tried to leave'.padEnd(32)} ${escapedPackets}`);
      print(
        isFine ? '\n✓ The package works without a network.' : '\n✗ Mend what is named above before the drive leaves.',
      );
    }
    process.exitCode = isFine ? 0 : exitCodes.notReady;
  } finally {
    await reader.close();
  }
}

/** Runs inside the rehearsal's own Cortex: makes a model of a folder, waits for it, asks it one thing. */
async function askModel(folder: string): Promise<void> {
  const cookie = await signIn('admin', process.env.REHEARSAL_PASSWORD ?? '');
  const { candidates, problems } = await call(routes.inspectFolder, { query: { folder }, cookie });
  const [candidate] = candidates;
  if (candidate === undefined)
    throw new Error(`${folder} can't be served: ${problems.map(({ message }) => message).join('; ')}`);
  const { engine, task, file } = candidate;
  const body = { name: folder, served_name: folder, engine, task, folder, file };
  const { model } = await call(routes.createModel, { body, cookie });
  await call(routes.startModel, { params: { id: model.id }, cookie });
  await ready(model.id, cookie);
  const path = task === 'embed' ? 'embeddings' : 'chat/completions';
  const question =
    task === 'embed' ? { input: 'Hello' } : { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8 };
  const answer = await fetch(`${serverUrl()}/v1/${path}`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: JSON.stringify({ model: folder, ...question }),
  });
  if (!answer.ok) throw new Error(`it refused to answer: ${await answer.text()}`);
  await call(routes.stopModel, { params: { id: model.id }, cookie });
  print(`${folder} answers.`);
}

async function ready(id: string, cookie: string): Promise<void> {
  for (;;) {
    const { model } = await call(routes.getModel, { params: { id }, cookie });
    if (model.state === 'ready') return;
    if (model.state === 'failed') throw new Error(`the model did not start: ${model.reason ?? 'no reason was given'}`);
    await sleep(500);
  }
}

async function signIn(username: string, password: string): Promise<string> {
  const answer = await fetch(`${serverUrl()}${routes.login.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  const cookie = answer.headers.getSetCookie()[0]?.split(';')[0];
  if (!answer.ok || cookie === undefined) throw new Error(`signing in was refused: HTTP ${answer.status}`);
  return cookie;
}
