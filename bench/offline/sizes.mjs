// Whether memory grows with the package: packs and verifies packages of several sizes and tells the peaks.
// Needs what `npm run bench:offline` builds. Run: node bench/offline/sizes.mjs [--sizes 1,5,20] [--json] [--keep]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measure } from '../../dist/bench/offline/process.js';
import { printTable } from '../../dist/bench/offline/table.js';

/** @typedef {import('../../dist/bench/offline/table.js').Row & { reason?: string }} Row */

const { values: flags } = parseArgs({
  options: { sizes: { type: 'string', default: '1' }, json: { type: 'boolean' }, keep: { type: 'boolean' } },
});
const sizesGb = flags.sizes.split(',').map(Number);
if (!sizesGb.every((size) => size > 0)) throw new Error('--sizes takes gigabytes with commas between: 1,5,20');
const memoryGoalMb = 200;
const writtenGoal = 1.02;
const spareBytes = 2e9;
const cli = resolve(import.meta.dirname, '../../dist/cli/main.js');
const work = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'cortex-bench-sizes-'));
const say = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);

/** @param {string} name @param {string} unit @param {number} value @param {number} goal @returns {Row} */
const reached = (name, unit, value, goal) => ({
  measure: name,
  unit,
  ours: value,
  peer: null,
  peer_name: '',
  ratio: value,
  goal,
  pass: value <= goal,
});

/** @param {string} name @param {string} unit @param {number} goal @param {string} reason @returns {Row} */
const unmeasured = (name, unit, goal, reason) => ({
  ...reached(name, unit, Number.NaN, goal),
  peer_name: `not measured: ${reason}`.slice(0, 120),
  pass: false,
  reason,
});

/** @param {string} dir */
const folderBytes = (dir) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);

/** @param {number} sizeGb @param {number} port @param {string} pkg */
async function packAndVerify(sizeGb, port, pkg) {
  const env = {
    CORTEX_REGISTRY_MIRRORS: `docker.io=http://127.0.0.1:${port}`,
    CORTEX_PACKAGE_DIR: join(work, 'receipts'),
  };
  const lock = join(work, `lock-${sizeGb}.json`);
  const ours = (/** @type {string[]} */ ...args) => measure(process.execPath, [cli, 'offline', ...args], env);
  const prepare = await ours(
    ...['prepare', '--only', 'docker.io/bench/generated:1', '--unsigned', '--lock', lock, '--output', pkg],
  );
  const verify = await ours('verify', '--files-only', '--allow-unsigned', '--image-dir', pkg);
  for (const [name, { seconds, peakBytes, writtenBytes }] of Object.entries({ prepare, verify }))
    say(
      `  ${name}: ${seconds.toFixed(1)} s, peak ${(peakBytes / 1e6).toFixed(0)} MB, wrote ${(writtenBytes / 1e6).toFixed(0)} MB`,
    );
  return { prepare, verify, packageBytes: folderBytes(pkg) };
}

/** @param {number} sizeGb @returns {Promise<Row[]>} */
async function rowsOf(sizeGb) {
  const names = /** @type {const} */ ([
    [`peak memory of prepare, ${sizeGb} GB`, 'MB', memoryGoalMb],
    [`peak memory of verify, ${sizeGb} GB`, 'MB', memoryGoalMb],
    [`bytes written ÷ package bytes, ${sizeGb} GB`, '', writtenGoal],
  ]);
  const pkg = join(work, `package-${sizeGb}`);
  const { bavail, bsize } = statfsSync(work);
  if (bavail * bsize < sizeGb * 1e9 * writtenGoal + spareBytes)
    return names.map(([name, unit, goal]) => unmeasured(name, unit, goal, 'not enough space on the disk'));
  say(`${sizeGb} GB: hashing what will be generated`);
  const registry = fork(resolve(import.meta.dirname, 'generated-registry.mjs'), [String(sizeGb)]);
  try {
    const [message] = await Promise.race([
      once(registry, 'message'),
      once(registry, 'exit').then(([code]) => Promise.reject(new Error(`the registry ended with ${code}`))),
    ]);
    const { prepare, verify, packageBytes } = await packAndVerify(sizeGb, message.port, pkg);
    const values = [prepare.peakBytes / 1e6, verify.peakBytes / 1e6, prepare.writtenBytes / packageBytes];
    return names.map(([name, unit, goal], index) => reached(name, unit, values[index] ?? Number.NaN, goal));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    say(reason);
    return names.map(([name, unit, goal]) => unmeasured(name, unit, goal, reason));
  } finally {
    registry.kill();
    if (!flags.keep) rmSync(pkg, { recursive: true, force: true });
  }
}

try {
  /** @type {Row[]} */
  const rows = [];
  for (const sizeGb of sizesGb) rows.push(...(await rowsOf(sizeGb)));
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 1e9),
    node: process.version,
    rounds: 1,
  };
  if (flags.json) process.stdout.write(`${JSON.stringify({ rows, machine }, null, 2)}\n`);
  else printTable(rows);
} finally {
  if (flags.keep) say(`kept: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
