import { randomBytes } from 'node:crypto';
import dns from 'node:dns';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { Downloads } from '../../backend/src/jobs/downloads.ts';
import { listModelFolders } from '../../backend/src/models/folder-walk.ts';
import { HubServer, hubCommit } from '../fixtures/hub-server.ts';
import { onBothDatabases } from './both-databases.ts';

const weights = randomBytes(1_500_000);
const config = Buffer.from('{"model_type":"tiny"}');
const token = 'hf_a-secret-that-stays-here';

onBothDatabases((database) => {
  const rootSecret = randomBytes(32);
  const made: Downloads[] = [];
  let hub: HubServer;
  let modelsDir = '';

  const open = ({
    offline = false,
    endpoint = `http://127.0.0.1:${hub.port}`,
  }: {
    offline?: boolean;
    endpoint?: string;
  } = {}): Downloads => {
    const logger = { warn: () => undefined };
    const downloads = new Downloads({
      ...{ db: database().db, modelsDir, rootSecret, logger, endpoint, isOffline: () => offline },
    });
    made.push(downloads);
    return downloads;
  };
  const wanted = (folder = 'tiny') => ({
    ...{ repository: 'org/tiny', revision: 'main', folder, paths: ['m-Q4.gguf', 'config.json'] },
  });
  const stateOf = async (downloads: Downloads, id: string) =>
    (await downloads.list()).downloads.find((one) => one.id === id);
  const ends = (downloads: Downloads, id: string, state: string) =>
    vi.waitFor(async () => expect((await stateOf(downloads, id))?.state).toBe(state), { timeout: 15_000 });
  const comes = (downloads: Downloads, id: string, bytes: number) =>
    vi.waitFor(async () => expect((await stateOf(downloads, id))?.done_bytes).toBeGreaterThan(bytes), 10_000);
  const rangesOfWeights = () => hub.asked.filter(({ at }) => at === 'cdn').map(({ range }) => range);

  beforeAll(() => {
    modelsDir = mkdtempSync(join(tmpdir(), 'cortex-downloads-'));
  });
  beforeEach(async () => {
    hub = new HubServer({ 'm-Q4.gguf': weights, 'config.json': config, 'm-Q8.gguf': weights, 'a.bin': weights });
    await hub.listen();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const downloads of made.splice(0)) {
      await downloads.setToken(null);
      for (const { id } of (await downloads.list()).downloads) await downloads.delete(id);
      await downloads.close();
    }
    await hub.close();
    for (const name of readdirSync(modelsDir)) rmSync(join(modelsDir, name), { recursive: true });
  });
  afterAll(() => rmSync(modelsDir, { recursive: true, force: true }));

  it('brings the chosen files of one commit, with their origin beside them', async () => {
    const downloads = open();
    const look = await downloads.look({ repository: 'org/tiny', revision: 'main' });
    expect(look).toMatchObject({ commit: hubCommit, licence: 'apache-2.0' });
    expect(look.choices.map(({ label }) => label)).toEqual(['m-Q4.gguf', 'm-Q8.gguf']);
    const { id } = await downloads.start(wanted('org/tiny'), 'ada');
    await ends(downloads, id, 'done');
    const folder = join(modelsDir, 'org/tiny');
    expect(readdirSync(folder).sort()).toEqual(['.cortex-source.json', 'config.json', 'm-Q4.gguf']);
    expect(readFileSync(join(folder, 'm-Q4.gguf')).equals(weights)).toBe(true);
    expect(JSON.parse(readFileSync(join(folder, '.cortex-source.json'), 'utf8'))).toEqual({
      ...{ repository: 'org/tiny', revision: hubCommit, licence: 'apache-2.0' },
    });
    expect(await stateOf(downloads, id)).toMatchObject({
      ...{ username: 'ada', done_bytes: weights.length + config.length, error: null },
    });
    await expect(downloads.start(wanted('org/tiny'), 'ada')).rejects.toThrow("There is a folder 'org/tiny' already.");
  });

  it('goes on at the byte where a cancel stopped it, and shows nothing before it is whole', async () => {
    hub.bytesPerSecond = 400_000;
    const downloads = open();
    const { id } = await downloads.start(wanted(), 'ada');
    await comes(downloads, id, 100_000);
    await expect(downloads.start(wanted(), 'bob')).rejects.toThrow("A download into 'tiny' is under way.");
    expect((await listModelFolders(modelsDir, () => [])).folders).toEqual([]);
    const stopped = await downloads.cancel(id);
    expect(stopped.state).toBe('cancelled');
    hub.bytesPerSecond = null;
    await downloads.resume(id);
    await ends(downloads, id, 'done');
    expect(rangesOfWeights()).toEqual([
      `bytes=0-${weights.length - 1}`,
      `bytes=${stopped.done_bytes}-${weights.length - 1}`,
    ]);
    expect(readFileSync(join(modelsDir, 'tiny/m-Q4.gguf')).equals(weights)).toBe(true);
  });

  it('goes on by itself when Cortex comes again', async () => {
    hub.bytesPerSecond = 400_000;
    const before = open();
    const { id } = await before.start(wanted(), 'ada');
    await comes(before, id, 100_000);
    await before.close();
    expect((await stateOf(before, id))?.state).toBe('downloading');
    hub.bytesPerSecond = null;
    const after = open();
    await after.takeUp();
    await ends(after, id, 'done');
    expect(rangesOfWeights()[1]).not.toBe(rangesOfWeights()[0]);
  });

  it('a delete takes the partial files along', async () => {
    hub.bytesPerSecond = 400_000;
    const downloads = open();
    const { id } = await downloads.start(wanted(), 'ada');
    await comes(downloads, id, 100_000);
    await downloads.delete(id);
    expect(readdirSync(join(modelsDir, '.cortex-downloads'))).toEqual([]);
    expect((await downloads.list()).downloads).toEqual([]);
  });

  it.each(['m-Q4.gguf', 'config.json'])('refuses another %s than the hub told', async (path) => {
    const bytes = Buffer.from(path === 'config.json' ? config : weights);
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    hub.lies.set(path, bytes);
    const downloads = open();
    const { id } = await downloads.start(wanted(), 'ada');
    await ends(downloads, id, 'failed');
    expect((await stateOf(downloads, id))?.error?.message).toMatch(/does not have the digest it should/);
    expect(existsSync(join(modelsDir, 'tiny'))).toBe(false);
  });

  it.each(['../out.gguf', '/etc/m.gguf', 'a/../../m.gguf'])('refuses a hub that tells of %s', async (rfilename) => {
    hub.siblings = [{ rfilename, size: 3, lfs: { sha256: 'a'.repeat(64) } }];
    await expect(open().look({ repository: 'org/tiny', revision: 'main' })).rejects.toThrow('not a plain path');
  });

  it('refuses files without a hash, that are not offered, or are too large for the disk', async () => {
    const downloads = open();
    await expect(downloads.start({ ...wanted(), paths: ['b.gguf'] }, 'ada')).rejects.toThrow("'b.gguf'");
    hub.siblings = [{ rfilename: 'm-Q4.gguf', size: 3 }];
    await expect(downloads.start({ ...wanted(), paths: ['m-Q4.gguf'] }, 'ada')).rejects.toThrow('no hash');
    hub.siblings = [{ rfilename: 'm-Q4.gguf', size: 2 ** 52, lfs: { sha256: 'a'.repeat(64) } }];
    await expect(downloads.start({ ...wanted(), paths: ['m-Q4.gguf'] }, 'ada')).rejects.toThrow('Not enough space');
    expect((await downloads.list()).downloads).toEqual([]);
  });

  it('follows no link out of the models folder', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'cortex-elsewhere-'));
    mkdirSync(modelsDir, { recursive: true });
    symlinkSync(elsewhere, join(modelsDir, 'org'));
    await expect(open().start(wanted('org/tiny'), 'ada')).rejects.toThrow('is not inside');
    expect(readdirSync(elsewhere)).toEqual([]);
    rmSync(elsewhere, { recursive: true });
  });

  it('says in words that a model is gated, and gives the kept token to the hub alone', async () => {
    hub.token = token;
    const downloads = open();
    await expect(downloads.look({ repository: 'org/tiny', revision: 'main' })).rejects.toMatchObject({
      ...{ code: 'model_gated', hint: expect.stringContaining('Accept its licence') },
    });
    await downloads.setToken(token);
    const { id } = await downloads.start(wanted(), 'ada');
    await ends(downloads, id, 'done');
    expect(hub.asked.filter(({ at }) => at === 'cdn').map(({ authorization }) => authorization)).toEqual([undefined]);
    const stored = await database().db.selectFrom('hub_token').selectAll().execute();
    expect(JSON.stringify([stored, await downloads.list()])).not.toContain(token);
    expect((await downloads.list()).has_token).toBe(true);
  });

  it('in offline mode opens no connection and looks up no name', async () => {
    const lookup = vi.spyOn(dns, 'lookup');
    const endpoint = `http://localhost:${hub.port}`;
    hub.bytesPerSecond = 400_000;
    const online = open({ endpoint });
    const { id } = await online.start(wanted(), 'ada');
    await comes(online, id, 100_000);
    await online.close();
    // The same steps are seen while online.
    expect(lookup).toHaveBeenCalled();
    expect(hub.connections).toBeGreaterThan(0);

    lookup.mockClear();
    hub.connections = 0;
    const offline = open({ endpoint, offline: true });
    const refused = { code: 'download_offline' };
    await offline.takeUp();
    expect((await stateOf(offline, id))?.error?.message).toContain('In offline mode nothing is asked');
    await expect(offline.look({ repository: 'org/tiny', revision: 'main' })).rejects.toMatchObject(refused);
    await expect(offline.start(wanted('other'), 'ada')).rejects.toMatchObject(refused);
    await expect(offline.resume(id)).rejects.toMatchObject(refused);
    expect(lookup.mock.calls.filter(([name]) => name === 'localhost')).toEqual([]);
    expect(hub.connections).toBe(0);
  });
});
