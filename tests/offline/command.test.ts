import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeImage, makeLayer, pushImage } from '../fixtures/registry-images.ts';
import { registryOrigin, rootDir, Workshop } from './workshop.ts';

const run = promisify(execFile);
const shop = new Workshop();
const base = makeLayer('command-base', 2_000_000);

beforeAll(async () => {
  await pushImage(registryOrigin, 'command-test/app', '1', makeImage([base, makeLayer('command-one', 300_000)]));
  await pushImage(registryOrigin, 'command-test/app', '2', makeImage([base, makeLayer('command-two', 300_000)]));
  // A checkout of its own, so that keys, locks and receipts of this test stay here.
  mkdirSync(shop.path('root'));
  for (const name of ['package.json', 'package-lock.json', 'versions.env'])
    writeFileSync(shop.path(`root/${name}`), readFileSync(join(rootDir, name)));
});
afterAll(async () => {
  await run('docker', ['rmi', '-f', '127.0.0.1:5055/command-test/app:1', '127.0.0.1:5055/command-test/app:2']).catch(
    () => undefined,
  );
  shop.close();
});

/** Types a command as an operator would; gives what it printed and its exit code. */
async function cortex(...args: string[]): Promise<{ output: string; code: number }> {
  const env = { ...process.env, CORTEX_ROOT: shop.path('root'), XDG_CONFIG_HOME: shop.path('config') };
  try {
    const { stdout, stderr } = await run(process.execPath, [join(rootDir, 'dist/cli/main.js'), 'offline', ...args], {
      env,
      cwd: shop.dir,
    });
    return { output: stdout + stderr, code: 0 };
  } catch (error) {
    const { stdout = '', stderr = '', code = 1 } = Object(error);
    return { output: String(stdout) + String(stderr), code: Number(code) };
  }
}

const image = (tag: string) => `127.0.0.1:5055/command-test/app:${tag}`;

describe('cortex offline', () => {
  it('tells every verb with one line', async () => {
    const { output } = await cortex('--help');
    for (const verb of [
      'prepare',
      'load',
      'verify',
      'status',
      'keygen',
      'trust',
      'inspect',
      'diff',
      'inventory',
      'repair',
      'serve',
      'provenance',
      'receipt',
      'backup',
      'import',
      'prune',
      'rehearse',
    ])
      expect(output).toMatch(new RegExp(`^  ${verb}\\b.*\\S`, 'm'));
  });

  it('makes a key with the first package, and never writes over it', async () => {
    const { output, code } = await cortex('prepare', '--only', image('1'), '--output', 'one');
    expect({ output, code }).toMatchObject({
      code: 0,
      output: expect.stringContaining('A key was made to sign packages with'),
    });
    expect(output).not.toContain('PRIVATE');
    const again = await cortex('keygen');
    expect(again).toMatchObject({ code: 2, output: expect.stringContaining('it is not overwritten') });
  });

  it('loads the signed package, keeps a receipt, and removes the old generation only when told to', async () => {
    expect(await cortex('load', '--image-dir', 'one')).toMatchObject({ code: 0 });
    await cortex('prepare', '--only', image('2'), '--output', 'two');
    expect(await cortex('load', '--image-dir', 'two')).toMatchObject({ code: 0 });
    expect((await cortex('prune', '--keep', '1')).output).toContain('Nothing was removed');
    expect((await run('docker', ['image', 'inspect', image('1')])).stdout).toContain('command-test');
    expect((await cortex('prune', '--keep', '1', '--yes')).output).toContain('removed');
    await expect(run('docker', ['image', 'inspect', image('1')])).rejects.toThrow();
  });

  it('does not go back to an older package unless told to', async () => {
    await cortex('load', '--image-dir', 'two');
    const { code, output } = await cortex('load', '--image-dir', 'one');
    expect({ code, output }).toMatchObject({ code: 3, output: expect.stringContaining('was loaded here before') });
    expect(await cortex('load', '--image-dir', 'one', '--allow-older')).toMatchObject({ code: 0 });
  });

  it('refuses a key that this machine does not know, until its fingerprint was compared', async () => {
    await cortex('keygen', '--output', 'stranger.key');
    const { output: made } = await cortex('keygen', '--output', 'other.key');
    const fingerprint = /SHA256:\S+/.exec(made)?.[0] ?? '';
    await cortex('prepare', '--only', image('2'), '--output', 'foreign', '--sign-key', 'other.key');
    const trusted = shop.path('root/.cortex/trusted-keys');
    await run('sh', ['-c', `rm -f ${trusted}/*`]);
    const refused = await cortex('load', '--image-dir', 'foreign');
    expect(refused).toMatchObject({ code: 3, output: expect.stringContaining(`cortex offline trust ${fingerprint}`) });
    expect((await cortex('trust', 'SHA256:wrong', '--image-dir', 'foreign')).code).toBe(2);
    expect(await cortex('trust', fingerprint, '--image-dir', 'foreign')).toMatchObject({ code: 0 });
    expect(await cortex('load', '--image-dir', 'foreign')).toMatchObject({ code: 0 });
  });

  it('keeps a log in which no line can be changed unseen', async () => {
    const { output } = await cortex('receipt', 'show', '--json');
    const entries = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(entries.map(({ act }) => act)).toEqual(expect.arrayContaining(['prepare', 'load', 'trust', 'prune']));
    expect(entries.some(({ exceptions }) => exceptions.includes('allow-older'))).toBe(true);
    expect(await cortex('receipt', 'export', 'log.jsonl')).toMatchObject({ code: 0 });
    expect((await cortex('receipt', 'verify', 'log.jsonl')).code).toBe(0);
    writeFileSync(
      shop.path('log.jsonl'),
      readFileSync(shop.path('log.jsonl'), 'utf8').replace('"result":"done"', '"result":"failed"'),
    );
    expect(await cortex('receipt', 'verify', 'log.jsonl')).toMatchObject({
      code: 3,
      output: expect.stringContaining('line 1'),
    });
  });

  it("packs the Engine's images for the day when they are lost, and brings them back", async () => {
    const id = (await run('docker', ['image', 'inspect', '-f', '{{.Id}}', image('2')])).stdout;
    expect(await cortex('backup', image('2'), '--output', 'backup')).toMatchObject({ code: 0 });
    await run('docker', ['rmi', '-f', image('2')]);
    expect(await cortex('load', '--image-dir', 'backup', '--allow-older')).toMatchObject({ code: 0 });
    expect((await run('docker', ['image', 'inspect', '-f', '{{.Id}}', image('2')])).stdout).toBe(id);
  });

  it('imports a bundle of the earlier Cortex, and refuses one whose sums do not fit', async () => {
    mkdirSync(shop.path('bundle/images'), { recursive: true });
    mkdirSync(shop.path('bundle/models/tiny/files'), { recursive: true });
    writeFileSync(shop.path('bundle/models/tiny/files/model.gguf'), 'GGUF....');
    await run('docker', ['save', '-o', shop.path('bundle/images/app.tar'), image('2')]);
    const sha256 = createHash('sha256')
      .update(readFileSync(shop.path('bundle/images/app.tar')))
      .digest('hex');
    const write = (sum: string, file = 'images/app.tar') =>
      writeFileSync(
        shop.path('bundle/images.json'),
        JSON.stringify([{ ref: image('2'), file, sha256: sum, size_bytes: 1 }]),
      );
    write('0'.repeat(64));
    expect(await cortex('import', 'bundle', '--output', 'imported')).toMatchObject({ code: 3 });
    write(sha256, '../../etc/passwd');
    expect(await cortex('import', 'bundle', '--output', 'imported')).toMatchObject({ code: 3 });
    write(sha256);
    expect(await cortex('import', 'bundle', '--output', 'imported')).toMatchObject({ code: 0 });
    const inspected = await cortex('inspect', 'imported');
    expect(inspected.output).toContain(image('2'));
    expect(inspected.output).toContain('models/tiny');
  });

  it('compares two packages and writes where images came from', async () => {
    const { output } = await cortex('diff', 'one', 'two');
    expect(output).toContain(`- ${image('1')}`);
    expect(output).toContain(`+ ${image('2')}`);
    await cortex('provenance', '--image-dir', 'two', '--allow-unsigned', '--output', 'provenance.txt');
    expect(readFileSync(shop.path('provenance.txt'), 'utf8')).toContain(`Image: ${image('2')}`);
  });

  it('says what is allowed where an option is not', async () => {
    expect(await cortex('prepare', '--only', image('1'), '--output', 'x', '--volume-size', 'floppy')).toMatchObject({
      code: 2,
      output: expect.stringContaining('fat32, dvd'),
    });
    expect(await cortex('load', '--image-dir', 'nowhere')).toMatchObject({
      code: 2,
      output: expect.stringContaining('There is no package'),
    });
    expect(await cortex('inspect', 'one', '--json')).toMatchObject({ code: 0 });
  });
});
