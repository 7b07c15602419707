import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { EmbeddedCortex } from '../../tests/embedded-cortex.ts';
import { startEngine } from '../../tests/ground/engine.ts';
import { printTable, type Row } from '../table.ts';
import { CountingSocket } from './counting-socket.ts';

// What 100 models of which 20 run cost while nothing happens, and what the API's answers take while their image is pulled and engines start.

/** Of the registry of tests/ground. */
const llama = '127.0.0.1:5055/ghcr.io/ggml-org/llama.cpp:server-cuda';
const roundSeconds = 10;
const { values: flags } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const say = (text: string) => process.stderr.write(`${text}\n`);

/** Processor time of a process so far, in milliseconds. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

const engine = await startEngine({ name: 'bench-models', version: 'bookworm', store: 'overlay2' });
const cortex = new EmbeddedCortex();
const socket = new CountingSocket(engine.host.replace('unix://', ''));
try {
  const path = join(cortex.dir, 'engine.sock');
  await socket.listen(path);
  const env = {
    DOCKER_HOST: `unix://${path}`,
    LLAMACPP_IMAGE: llama,
    OFFLINE_MODE: 'False',
    OFFLINE_MODE_AUTO_DETECT: 'False',
  };
  await cortex.start(env, { ownSession: true });
  await cortex.addTinyModel();
  await cortex.signIn();
  const ids: string[] = [];
  for (let at = 0; at < 100; at += 1) {
    const name = `model-${at}`;
    const options = { context_size: 256, threads: 1 };
    const body = { engine: 'llamacpp', name, served_name: name, folder: 'tiny', file: 'tiny.gguf', options } as const;
    ids.push((await cortex.call('createModel', { body })).model.id);
  }
  const until = async (count: number) => {
    while ((await cortex.call('listModels')).models.filter(({ state }) => state === 'ready').length < count)
      await sleep(500);
  };
  say('the image is pulled, and 5 models start');
  const answersMs: number[] = [];
  let starting = true;
  const asking = (async () => {
    while (starting) {
      const began = performance.now();
      const answer = await fetch(`${cortex.api}/admin/models`, { headers: { cookie: cortex.cookie } });
      const body = await answer.arrayBuffer();
      answersMs.push(performance.now() - began);
      if (!answer.ok || body.byteLength < 50_000) throw new Error(`the list of models: ${answer.status}`);
      await sleep(20);
    }
  })();
  for (const id of ids.slice(0, 5)) await cortex.call('startModel', { params: { id } });
  await until(5);
  starting = false;
  await asking;
  for (const id of ids.slice(5, 20)) await cortex.call('startModel', { params: { id } });
  await until(20);

  say('20 models run; nothing happens for two minutes, of which the second counts');
  // V8 clears away what the starts have left, and then has nothing to do.
  await sleep(60_000);
  const [cpuBefore, callsBefore] = [cpuMs(cortex.pid), socket.requests];
  await sleep(60_000);
  const perRoundMs = ((cpuMs(cortex.pid) - cpuBefore) / 60) * roundSeconds;
  const callsPerMinute = socket.requests - callsBefore;
  const row = (measure: string, unit: string, ours: number, goal: number | null): Row => ({
    ...{ measure, unit, ours, goal, peer: null, peer_name: '', ratio: null },
    pass: goal === null ? null : ours <= goal,
  });
  const rows = [
    row('processor time of the whole server per round of 10 s, 100 models, 20 run', 'ms', perRoundMs, 200),
    row('calls to the Engine in a minute', '', callsPerMinute, null),
    row('list of 100 models during the pull and 5 starts: p50', 'ms', percentile(answersMs, 0.5), null),
    row('list of 100 models during the pull and 5 starts: p99', 'ms', percentile(answersMs, 0.99), 50),
  ];
  if (flags.json) process.stdout.write(`${JSON.stringify({ rows }, null, 2)}\n`);
  else printTable(rows);
} finally {
  await cortex.stop();
  socket.close();
  await engine.stop();
}
