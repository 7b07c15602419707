import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Engine, type EngineOptions, startEngine } from '../../tests/ground/engine.ts';
import { type Measured, measure, median } from '../process.ts';
import { printTable, type Row } from '../table.ts';
import { benchLayer, pushBenchImage } from './images.ts';

const root = resolve(import.meta.dirname, '../../..');
const { values: flags } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '3' } },
});
const rounds = Number(flags.rounds);
const cache = join(root, '.tests/bench');
const work = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'cortex-bench-'));
const say = (text: string) => process.stderr.write(`${text}\n`);
const cli = join(root, 'dist/cli/main.js');
const names = ['alpha', 'beta'];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function startRegistry(port: number) {
  const storage = join(cache, 'registry');
  mkdirSync(storage, { recursive: true });
  const child = spawn('docker-registry', ['serve', join(root, 'tests/images/registry/config.yml')], {
    env: {
      ...process.env,
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: storage,
      REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
      REGISTRY_LOG_LEVEL: 'error',
    },
    stdio: 'ignore',
  });
  for (let tries = 0; tries < 100; tries += 1) {
    if (
      await fetch(`http://127.0.0.1:${port}/v2/`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return child;
    await sleep(100);
  }
  throw new Error('the registry did not start');
}

async function withEngine<T>(
  options: Pick<EngineOptions, 'version' | 'store'>,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await startEngine({ name: 'bench', ...options });
  try {
    return await use(engine);
  } finally {
    await engine.stop();
  }
}

const folderBytes = (dir: string): number =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);
const fresh = (name: string): string => {
  rmSync(join(work, name), { recursive: true, force: true });
  rmSync(join(work, `.${name}.prepare`), { recursive: true, force: true });
  return join(work, name);
};

const port = await freePort();
const registry = await startRegistry(port);
const env = {
  CORTEX_REGISTRY_MIRRORS: `docker.io=http://127.0.0.1:${port}`,
  CORTEX_PACKAGE_DIR: join(work, 'receipts'),
};
const prepare = (output: string, ...more: string[]) =>
  measure(
    process.execPath,
    [
      cli,
      'offline',
      'prepare',
      ...names.flatMap((name) => ['--only', `docker.io/bench/${name}:1`]),
      '--unsigned',
      '--lock',
      join(work, 'lock.json'),
      '--output',
      output,
      ...more,
    ],
    env,
  );
const load = (dir: string, engine: Engine) =>
  measure(process.execPath, [cli, 'offline', 'load', '--image-dir', dir, '--allow-unsigned', '--no-models'], {
    ...env,
    DOCKER_HOST: engine.host,
    CORTEX_PACKAGE_DIR: fresh('receipts-load'),
  });
const shell = (script: string, more: NodeJS.ProcessEnv = {}) => measure('sh', ['-euc', script], more, work);
const row = (
  measureName: string,
  unit: string,
  ours: number,
  peer: number | null,
  peerName: string,
  ratio: number,
  goal: number | null,
  atMost = false,
): Row => ({
  measure: measureName,
  unit,
  ours,
  peer,
  peer_name: peerName,
  ratio,
  goal,
  pass: goal === null ? null : atMost ? ratio <= goal : ratio >= goal,
});

try {
  say('images: two of 1 GB, half of it shared');
  const shared = await Promise.all(
    [200, 170, 140].map((size, index) => benchLayer(cache, `shared-${index}`, size * 1e6)),
  );
  for (const name of names) {
    const own = await Promise.all(
      [200, 170, 140].map((size, index) => benchLayer(cache, `${name}-${index}`, size * 1e6)),
    );
    await pushBenchImage(`http://127.0.0.1:${port}`, `bench/${name}`, [...shared, ...own]);
  }
  const times: Record<string, number[]> = {};
  const peaks: Record<string, number[]> = {};
  const note = (key: string, { seconds, peakBytes }: Measured) => {
    say(`  ${key}: ${seconds.toFixed(2)} s, ${(peakBytes / 1e6).toFixed(0)} MB`);
    times[key] = [...(times[key] ?? []), seconds];
    if (/^(prepare|load|second load|verify)/.test(key)) peaks[key] = [...(peaks[key] ?? []), peakBytes];
  };
  const middle = (key: string) => median(times[key] ?? []);
  const ours: Measured[] = [];
  const pkg = join(work, 'package');
  const tars = join(work, 'tars');
  for (let round = 0; round < rounds; round += 1) {
    say(`round ${round + 1} of ${rounds}`);
    const pairs: (() => Promise<void>)[] = [
      async () => {
        const found = await prepare(fresh('package'));
        ours.push(found);
        note('prepare', found);
      },
      async () => {
        fresh('tars');
        mkdirSync(tars);
        await withEngine({ version: 'trixie', store: 'overlay2' }, async ({ host }) => {
          const script = names
            .map(
              (name) =>
                `docker pull -q 127.0.0.1:${port}/bench/${name}:1; docker save 127.0.0.1:${port}/bench/${name}:1 -o ${tars}/${name}.tar`,
            )
            .join('; ');
          note(
            'docker pull + save + sha256sum',
            await shell(`${script}; cd ${tars}; sha256sum *.tar > checksums.txt`, { DOCKER_HOST: host }),
          );
        });
      },
      async () => note('prepare --dedupe', await prepare(fresh('deduped'), '--dedupe')),
      async () => {
        const script = names.map(
          (name) =>
            `skopeo copy -q --src-tls-verify=false docker://127.0.0.1:${port}/bench/${name}:1 oci:${fresh('skopeo')}:${name}`,
        );
        note('skopeo copy', await shell(script.join('; ')));
      },
    ];
    for (const step of round % 2 === 0 ? pairs : [...pairs].reverse()) await step();
    for (const [version, store] of [
      ['trixie', 'overlay2'],
      ['bookworm', 'overlay2'],
      ['trixie', 'containerd'],
    ] as const) {
      if (round > 0 && `${version} ${store}` !== 'trixie overlay2') continue;
      const key = `${version} ${store}`;
      await withEngine({ version, store }, async (engine) => {
        const first = await load(pkg, engine);
        note(`load ${key}`, first);
        note(`second load ${key}`, await load(pkg, engine));
      });
      await withEngine({ version, store }, async ({ host }) => {
        const script = `cd ${tars}; sha256sum --quiet -c checksums.txt; for tar in *.tar; do docker load -q -i $tar; done`;
        note(`docker load ${key}`, await shell(script, { DOCKER_HOST: host }));
      });
    }
    const bytes = folderBytes(pkg);
    const verify = await measure(
      process.execPath,
      [cli, 'offline', 'verify', '--files-only', '--allow-unsigned', '--image-dir', pkg],
      env,
    );
    note('verify', verify);
    note('sha256sum on all cores', await shell(`ls ${pkg}/*.tar | xargs -P ${availableParallelism()} -n 1 sha256sum`));
    say(`  package ${(bytes / 1e6).toFixed(0)} MB, tars ${(folderBytes(tars) / 1e6).toFixed(0)} MB`);
  }
  const packageBytes = folderBytes(pkg);
  const tarBytes = folderBytes(tars);
  const peak = Math.max(...Object.values(peaks).map(median));
  const written = median(ours.map(({ writtenBytes }) => writtenBytes));
  const faster = (name: string, unit: string, key: string, peer: string, goal: number | null) =>
    row(name, unit, middle(key), middle(peer), peer, middle(peer) / middle(key), goal);
  const rows: Row[] = [
    faster('prepare, time', 's', 'prepare', 'docker pull + save + sha256sum', 9),
    faster('prepare --dedupe, time', 's', 'prepare --dedupe', 'skopeo copy', 1),
    row('package bytes', 'MB', packageBytes / 1e6, tarBytes / 1e6, 'docker save', packageBytes / tarBytes, 0.55, true),
    faster('load, 26.1 overlay2, time', 's', 'load trixie overlay2', 'docker load trixie overlay2', 2.2),
    faster('load, 20.10 overlay2, time', 's', 'load bookworm overlay2', 'docker load bookworm overlay2', null),
    faster('load, 26.1 containerd, time', 's', 'load trixie containerd', 'docker load trixie containerd', null),
    row(
      'second load, per image',
      's',
      middle('second load trixie overlay2') / names.length,
      null,
      '',
      middle('second load trixie overlay2') / names.length,
      1,
      true,
    ),
    faster('verify, time', 's', 'verify', 'sha256sum on all cores', 0.9),
    row('peak memory of prepare, load, verify', 'MB', peak / 1e6, null, '', peak / 1e6, 200, true),
    row(
      'bytes written ÷ package bytes',
      '',
      written / 1e6,
      packageBytes / 1e6,
      'package',
      written / packageBytes,
      1.02,
      true,
    ),
  ];
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 1e9),
    node: process.version,
    rounds,
  };
  if (flags.json) process.stdout.write(`${JSON.stringify({ rows, machine }, null, 2)}\n`);
  else printTable(rows);
} finally {
  registry.kill();
  rmSync(work, { recursive: true, force: true });
}
