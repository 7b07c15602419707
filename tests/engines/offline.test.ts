import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker/engine.ts';
import type { Bill } from '../../offline/bill.ts';
import { readCatalog } from '../../offline/catalog.ts';
import type { PackageEvent } from '../../offline/events.ts';
import { loadPackage } from '../../offline/load.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import { preparePackage } from '../../offline/prepare.ts';
import { imageReadiness } from '../../offline/readiness.ts';
import { verifyPackage } from '../../offline/verify.ts';
import { type Engine, startEngine } from '../ground/engine.ts';

const rootDir = fileURLToPath(new URL('../../', import.meta.url));
const mirrorsAt = (port: number) =>
  ['docker.io', 'ghcr.io', 'gcr.io'].map((name) => `${name}=http://127.0.0.1:${port}/${name}`).join(',');
const work = mkdtempSync(join(tmpdir(), 'cortex-offline-'));
const outputDir = join(work, 'package');

async function prepare(port = 5055): Promise<{ bill: Bill; events: PackageEvent[] }> {
  const events: PackageEvent[] = [];
  const report = (event: PackageEvent) => void events.push(event);
  const bill = await preparePackage({
    rootDir,
    outputDir,
    platforms: ['linux/amd64'],
    lockFile: join(work, 'lock.json'),
    signer: null,
    env: { CORTEX_REGISTRY_MIRRORS: mirrorsAt(port) },
    report,
  });
  if (bill === null) throw new Error('a dry run was not asked for');
  return { bill, events };
}

async function verify(): Promise<string[]> {
  const reader = await PackageReader.open([outputDir]);
  const { problems } = await verifyPackage(reader, () => undefined);
  await reader.close();
  return problems.map(({ code }) => code).sort();
}

/** In the last layer, which no other image has: a shared one would be taken from another archive. */
async function flipByte(path: string): Promise<void> {
  const file = await open(path, 'r+');
  const at = statSync(path).size - 20_000;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, at);
  await file.close();
}

const archives = () => readdirSync(outputDir).filter((name) => name.endsWith('.tar')).length;
const notes = (events: readonly PackageEvent[], file: string) =>
  events.flatMap((event) => (event.kind === 'file-done' && event.file === file ? [event.note] : []));

let bill: Bill;
beforeAll(async () => {
  ({ bill } = await prepare());
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('preparing a package', () => {
  it('writes an archive for each image of the list, and the bill last', () => {
    expect(bill.images.map(({ reference }) => reference)).toEqual(
      readCatalog({ rootDir, env: {} }).map(({ reference }) => reference),
    );
    expect(
      execFileSync('sha256sum', ['--strict', '--quiet', '-c', 'checksums.txt'], { cwd: outputDir, encoding: 'utf8' }),
    ).toBe('');
    expect(readdirSync(outputDir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('takes nothing away when the registry is out of reach', async () => {
    const before = archives();
    await expect(prepare(9)).rejects.toMatchObject({ code: 'registry_unreachable' });
    expect(archives()).toBe(before);
  });

  it('keeps what is whole and fetches again what was altered', async () => {
    await flipByte(join(outputDir, 'redis-7.tar'));
    const { bill: again, events } = await prepare();
    expect(notes(events, 'redis-7.tar')).toEqual(['new']);
    expect(notes(events, 'postgres-16.tar')).toEqual(['kept']);
    expect(again.files.filter(({ name }) => name.endsWith('.tar'))).toEqual(
      bill.files.filter(({ name }) => name.endsWith('.tar')),
    );
  });

  it('finds missing, altered and extra files as three different things', async () => {
    expect(await verify()).toEqual([]);
    await flipByte(join(outputDir, 'redis-7.tar'));
    rmSync(join(outputDir, 'registry-2.tar'));
    execFileSync('touch', [join(outputDir, 'stray.tar')]);
    expect(await verify()).toEqual(['package_file_altered', 'package_file_extra', 'package_file_missing']);
    rmSync(join(outputDir, 'stray.tar'));
    await prepare();
  });
});

for (const [version, store] of [
  ['bookworm', 'overlay2'],
  ['trixie', 'overlay2'],
  ['trixie', 'containerd'],
] as const) {
  describe(`loading on Docker ${version === 'bookworm' ? '20.10' : '26.1'} with ${store}`, () => {
    let privateEngine: Engine;
    let engine: DockerEngine;
    beforeAll(async () => {
      privateEngine = await startEngine({ name: `load-${store}-${process.pid}`, version, store });
      engine = new DockerEngine({ host: privateEngine.host });
    });
    afterAll(async () => {
      await engine.close();
      await privateEngine.stop();
    });
    const load = async () => {
      const events: PackageEvent[] = [];
      const report = (event: PackageEvent) => void events.push(event);
      const reader = await PackageReader.open([outputDir]);
      const receiptDir = join(work, `receipt-${version}-${store}`);
      const result = await loadPackage({ reader, receiptDir, engine, modelsDir: null, report });
      await reader.close();
      return { result, events };
    };

    it('refuses a damaged archive and leaves no trace of it, and loads the others', async () => {
      await flipByte(join(outputDir, 'redis-7.tar'));
      const { result } = await load();
      expect(result.failures.map(({ file, error }) => [file, error.code])).toEqual([
        ['redis-7.tar', 'package_file_altered'],
      ]);
      expect(await engine.images.inspect('redis:7')).toBeNull();
      expect(existsSync(join(work, `receipt-${version}-${store}`, 'manifest.json'))).toBe(false);
      await flipByte(join(outputDir, 'redis-7.tar'));
    });

    it('then loads only what is missing, and is ready by identity', async () => {
      const { result, events } = await load();
      expect(result.failures).toEqual([]);
      expect(notes(events, 'redis-7.tar')).toEqual(['new']);
      expect(notes(events, 'postgres-16.tar')).toEqual(['present']);
      const readiness = await imageReadiness({
        engine,
        catalog: readCatalog({ rootDir, env: {} }),
        bill,
        offlineMode: true,
      });
      expect(readiness.offline_ready).toBe(true);
      expect(readiness.image_store).toBe(store === 'overlay2' ? 'graphdriver' : 'containerd');
      expect(readiness.infrastructure.map(({ identity }) => identity)).not.toContain('differs');
    });

    it('is not ready for a version that the package does not hold, though an image has its name', async () => {
      await engine.images.tag('redis:7', 'vllm/vllm-openai', 'v9');
      const catalog = readCatalog({ rootDir, env: { VLLM_VERSION: 'v9' } });
      const readiness = await imageReadiness({ engine, catalog, bill, offlineMode: true });
      expect(readiness.offline_ready).toBe(false);
      expect(readiness.engines.vllm.warning).toContain('vllm/vllm-openai:v0.6.3');
    });

    it('plain docker load takes the archives too', async () => {
      await engine.images.remove('registry:2', { force: true });
      execFileSync('docker', ['load', '-q', '-i', join(outputDir, 'registry-2.tar')], {
        env: { ...process.env, DOCKER_HOST: privateEngine.host },
      });
      expect(await engine.images.inspect('registry:2')).not.toBeNull();
    });
  });
}
