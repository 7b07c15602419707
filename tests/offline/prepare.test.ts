import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chunkBytes } from '../../offline/bill.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import { answerRepair, renderRepairRequest } from '../../offline/repair.ts';
import { generateKey, readSigner } from '../../offline/signing.ts';
import { checkTrust } from '../../offline/trust.ts';
import { verifyPackage } from '../../offline/verify.ts';
import { indexType, makeImage, makeIndex, makeLayer, pushImage, pushManifest } from '../fixtures/registry-images.ts';
import { flipByte, registryOrigin, sizeOf, Workshop } from './workshop.ts';

const megabyte = 1_000_000;
const shop = new Workshop();
const base = makeLayer('base', 12 * megabyte);
const alpha = makeImage([base, makeLayer('alpha', 9 * megabyte)]);
const beta = makeImage([base, makeLayer('beta', 2 * megabyte)]);
const arm = makeImage([makeLayer('arm', megabyte)], 'arm64');
const images = ['offline-test/alpha:1', 'offline-test/beta:1'];
const alphaFile = '127.0.0.1-5055-offline-test-alpha-1.tar';
const betaFile = '127.0.0.1-5055-offline-test-beta-1.tar';

beforeAll(async () => {
  await pushImage(registryOrigin, 'offline-test/alpha', '1', alpha);
  await pushImage(registryOrigin, 'offline-test/beta', '1', beta);
  await pushImage(registryOrigin, 'offline-test/multi', 'arm', arm);
  await pushImage(registryOrigin, 'offline-test/multi', 'amd', beta);
  const index = makeIndex([
    { architecture: 'amd64', image: beta },
    { architecture: 'arm64', image: arm },
  ]);
  await pushManifest(registryOrigin, 'offline-test/multi', '1', index, indexType);
});
afterAll(() => shop.close());

const filesOf = (output: string) =>
  Object.fromEntries(
    execFileSync('find', ['.', '-type', 'f'], { cwd: shop.path(output), encoding: 'utf8' })
      .trim()
      .split('\n')
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(shop.path(`${output}/${name}`)))
          .digest('hex'),
      ]),
  );

describe('a package', () => {
  it('is checked by sha256sum alone', async () => {
    await shop.prepare('plain', images);
    execFileSync('sha256sum', ['--strict', '--quiet', '-c', 'checksums.txt'], { cwd: shop.path('plain') });
    expect((await shop.verify('plain')).codes).toEqual([]);
  });

  it('is the same byte for byte when it is made again with the lock', async () => {
    const first = filesOf('plain');
    cpSync(shop.path('plain.lock.json'), shop.path('again.lock.json'));
    await shop.prepare('again', images, { locked: true });
    expect(filesOf('again')).toEqual(first);
  });

  it('is left as it is when nothing changed', async () => {
    const before = statSync(shop.path(`plain/${alphaFile}`)).mtimeMs;
    const bill = readFileSync(shop.path('plain/manifest.json'));
    const { events } = await shop.prepare('plain', images);
    expect(events.flatMap((event) => (event.kind === 'file-done' ? [event.note] : []))).toEqual(['kept', 'kept']);
    expect(statSync(shop.path(`plain/${alphaFile}`)).mtimeMs).toBe(before);
    expect(readFileSync(shop.path('plain/manifest.json'))).toEqual(bill);
  });

  it('takes the locked image after its tag has moved, and says what moved when it is gone', async () => {
    await pushImage(registryOrigin, 'offline-test/moving', '1', alpha);
    await shop.prepare('moving', ['offline-test/moving:1']);
    await pushImage(registryOrigin, 'offline-test/moving', '1', beta);
    rmSync(shop.path('moving'), { recursive: true });
    const { bill } = await shop.prepare('moving', ['offline-test/moving:1'], { locked: true });
    expect(bill.images[0]?.manifest_digest).toBe(alpha.manifest.digest);
    const lock = shop.path('moving.lock.json');
    writeFileSync(lock, readFileSync(lock, 'utf8').replaceAll(alpha.manifest.digest, `sha256:${'0'.repeat(64)}`));
    await expect(shop.prepare('moving', ['offline-test/moving:1'], { locked: true })).rejects.toMatchObject({
      code: 'lock_moved',
    });
  });

  it('holds every platform that is asked for, and the index as evidence', async () => {
    const { bill } = await shop.prepare('multi', ['offline-test/multi:1'], {
      platforms: ['linux/amd64', 'linux/arm64'],
    });
    expect(bill.images.map(({ platform, file }) => [platform, file])).toEqual([
      ['linux/amd64', '127.0.0.1-5055-offline-test-multi-1.tar'],
      ['linux/arm64', '127.0.0.1-5055-offline-test-multi-1-arm64.tar'],
    ]);
    const index = bill.images[0]?.index_digest?.replace(':', '-');
    expect(readdirSync(shop.path('multi/evidence'))).toContain(index);
  });

  it('brings the signatures that upstream tied to an image along as evidence', async () => {
    const signature = makeImage([makeLayer('a-signature', 500)]);
    await pushImage(registryOrigin, 'offline-test/signed', '1', beta);
    await pushImage(registryOrigin, 'offline-test/signed', `${beta.manifest.digest.replace(':', '-')}.sig`, signature);
    await shop.prepare('evidence', ['offline-test/signed:1']);
    const names = readdirSync(shop.path('evidence/evidence'));
    expect(names).toContain(signature.manifest.digest.replace(':', '-'));
    expect(names).toContain(signature.layers[0]?.digest.replace(':', '-'));
  });

  it('has a shared layer once when it is asked to, and all bytes of it are still checked', async () => {
    const { bill } = await shop.prepare('deduped', images, { dedupe: true });
    const total = (name: string) => bill.files.find((file) => file.name === name)?.sizeBytes ?? 0;
    expect(total(betaFile)).toBeLessThan(3 * megabyte);
    expect(bill.images[1]?.blobs.some((blob) => blob.file === alphaFile)).toBe(true);
    expect((await shop.verify('deduped')).codes).toEqual([]);
  });

  it('changes nothing in a dry run', async () => {
    const asked = shop.prepare('dry', images, { dryRun: true });
    await expect(asked).rejects.toThrow('dry run');
    expect(readdirSync(shop.dir).filter((name) => name.includes('dry'))).toEqual([]);
  });
});

describe('damage', () => {
  it('is named by file and chunk', async () => {
    await shop.prepare('damaged', images);
    await flipByte(shop.path(`damaged/${alphaFile}`), 5 * 1024 * 1024);
    const { codes, bad, messages } = await shop.verify('damaged');
    expect(codes).toEqual(['package_file_altered']);
    expect(bad).toEqual([`${alphaFile}#1`]);
    expect(messages[0]).toContain('chunks 2 of ');
  });

  it('is repaired by a package of just those chunks', async () => {
    const reader = await PackageReader.open([shop.path('damaged')]);
    const { badChunks } = await verifyPackage(reader, () => undefined);
    writeFileSync(shop.path('request.json'), renderRepairRequest(reader, badChunks));
    await reader.close();
    const outside = await PackageReader.open([shop.path('damaged')]);
    await expect(answerRepair(shop.path('request.json'), outside, shop.path('none'))).rejects.toMatchObject({
      code: 'package_file_altered',
    });
    await outside.close();
    // The connected machine still has the whole one.
    cpSync(shop.path('damaged'), shop.path('whole'), { recursive: true });
    await flipByte(shop.path(`whole/${alphaFile}`), 5 * 1024 * 1024);
    const whole = await PackageReader.open([shop.path('whole')]);
    expect(await answerRepair(shop.path('request.json'), whole, shop.path('repair'))).toEqual({
      chunks: 1,
      bytes: chunkBytes,
    });
    await whole.close();
    expect((await shop.verify('damaged', 'repair')).codes).toEqual([]);
  });

  it.each([
    ['one flipped byte in README.txt', 'README.txt', 'package_file_altered'],
    ['one flipped byte in an evidence file', 'evidence/index.json', 'package_file_altered'],
    ['one flipped byte in the SBOM', 'reports/cortex-sbom.cdx.json', 'package_file_altered'],
  ])('is found in every kind of file: %s', async (_name, file, code) => {
    cpSync(shop.path('plain'), shop.path('kinds'), { recursive: true });
    await flipByte(shop.path(`kinds/${file}`), 1);
    expect((await shop.verify('kinds')).codes).toEqual([code]);
    rmSync(shop.path('kinds'), { recursive: true });
  });

  it('of the bill itself is refused, wherever the byte is', async () => {
    cpSync(shop.path('plain'), shop.path('bill'), { recursive: true });
    const size = await sizeOf(shop.path('bill/manifest.json'));
    for (let at = 3; at < size; at += Math.ceil(size / 40)) {
      await flipByte(shop.path('bill/manifest.json'), at);
      await expect(shop.verify('bill')).rejects.toMatchObject({ code: 'bill_invalid' });
      await flipByte(shop.path('bill/manifest.json'), at);
    }
    expect((await shop.verify('bill')).codes).toEqual([]);
  });

  it('tells missing, cut, extra and stale files apart', async () => {
    cpSync(shop.path('plain'), shop.path('mess'), { recursive: true });
    rmSync(shop.path(`mess/${betaFile}`));
    truncateSync(shop.path(`mess/${alphaFile}`), 1000);
    writeFileSync(shop.path('mess/stray.txt'), 'x');
    writeFileSync(shop.path('mess/127.0.0.1-5055-offline-test-alpha-2.tar'), 'x');
    writeFileSync(shop.path('mess/redis.tar.partial'), 'x');
    const { codes, messages } = await shop.verify('mess');
    expect(codes).toEqual([
      'package_file_altered',
      'package_file_extra',
      'package_file_missing',
      'package_file_stale',
      'package_file_stale',
    ]);
    expect(messages.join()).toContain('it has 1000 bytes instead of');
  });

  it('does not follow a link out of the package', async () => {
    cpSync(shop.path('plain'), shop.path('linked'), { recursive: true });
    cpSync(shop.path(`plain/${betaFile}`), shop.path('elsewhere.tar'));
    rmSync(shop.path(`linked/${betaFile}`));
    execFileSync('ln', ['-s', shop.path('elsewhere.tar'), shop.path(`linked/${betaFile}`)]);
    expect((await shop.verify('linked')).codes).toEqual(['package_file_missing']);
  });
});

describe('volumes', () => {
  const volumeBytes = 9 * megabyte;

  it('are cut while writing, none larger than asked, and read in any order', async () => {
    const { bill } = await shop.prepare('cut', images, { volumeBytes });
    expect(bill.volumes).toBeGreaterThan(3);
    const folders = readdirSync(shop.path('cut')).filter((name) => name.startsWith('volume-'));
    expect(folders).toHaveLength(bill.volumes);
    for (const folder of folders) {
      const bytes = Number(
        execFileSync('du', ['-sb', '--apparent-size', shop.path(`cut/${folder}`)], { encoding: 'utf8' }).split('\t')[0],
      );
      expect(bytes).toBeLessThanOrEqual(volumeBytes + 20_000);
      execFileSync('sha256sum', ['--strict', '--quiet', '-c', 'checksums.txt'], { cwd: shop.path(`cut/${folder}`) });
    }
    expect((await shop.verify(...folders.reverse().map((name) => `cut/${name}`))).codes).toEqual([]);
  });

  it('name the one that is missing, each of them', async () => {
    const folders = readdirSync(shop.path('cut')).filter((name) => name.startsWith('volume-'));
    for (const [index, missing] of folders.entries()) {
      const { messages } = await shop.verify(
        ...folders.filter((name) => name !== missing).map((name) => `cut/${name}`),
      );
      expect(messages.join('\n')).toContain(`Volume ${index + 1} of ${folders.length} is not there`);
    }
  });

  it('of two packages are not taken for one', async () => {
    await shop.prepare('other', ['offline-test/beta:1'], { volumeBytes });
    await expect(shop.verify('cut/volume-001', 'other/volume-001')).rejects.toMatchObject({ code: 'package_mixed' });
  });

  it('that are swapped or cut off are found', async () => {
    cpSync(shop.path('cut'), shop.path('swapped'), { recursive: true });
    const piece = readdirSync(shop.path('swapped/volume-002')).find((name) => /\.\d{3}$/.test(name)) ?? '';
    truncateSync(shop.path(`swapped/volume-002/${piece}`), 4_000_000);
    expect((await shop.verify('swapped')).codes).toEqual(['package_file_altered']);
  });

  it('come back whole from a real FAT32 file system', async () => {
    execFileSync('truncate', ['-s', '64M', shop.path('fat.img')]);
    execFileSync('mkfs.vfat', ['-F', '32', shop.path('fat.img')]);
    execFileSync('mcopy', ['-s', '-i', shop.path('fat.img'), shop.path('cut'), '::package']);
    execFileSync('mcopy', ['-s', '-i', shop.path('fat.img'), '::package', shop.path('fat')]);
    expect((await shop.verify('fat')).codes).toEqual([]);
  });
});

describe('the signature', () => {
  it('is one that openssl alone can check', async () => {
    const publicKey = await generateKey(shop.path('site.key'));
    const signer = await readSigner(shop.path('site.key'));
    await shop.prepare('signed', ['offline-test/beta:1'], { signer });
    const check = () =>
      execFileSync(
        'openssl',
        [
          'pkeyutl',
          '-verify',
          '-pubin',
          '-inkey',
          shop.path('site.key.pub'),
          '-rawin',
          '-in',
          'manifest.json',
          '-sigfile',
          'manifest.json.sig',
        ],
        { cwd: shop.path('signed'), encoding: 'utf8' },
      );
    expect(check()).toContain('Verified Successfully');
    expect(readFileSync(shop.path('signed/README.txt'), 'utf8')).toContain('openssl pkeyutl -verify');
    const reader = await PackageReader.open([shop.path('signed')]);
    const options = { receiptDir: shop.path('receipts') };
    expect((await checkTrust(reader, { ...options, trusted: [publicKey] })).key).toEqual(publicKey);
    await expect(checkTrust(reader, { ...options, trusted: [] })).rejects.toMatchObject({ code: 'key_unknown' });
    const other = await generateKey(shop.path('other.key'));
    await expect(checkTrust(reader, { ...options, trusted: [other] })).rejects.toMatchObject({ code: 'key_unknown' });
    await reader.close();
    await flipByte(shop.path('signed/manifest.json.sig'), 10);
    const altered = await PackageReader.open([shop.path('signed')]);
    await expect(checkTrust(altered, { ...options, trusted: [publicKey] })).rejects.toMatchObject({
      code: 'signature_invalid',
    });
    const allowed = await checkTrust(altered, { ...options, trusted: [publicKey], allowUnsigned: true });
    expect(allowed.exceptions).toEqual(['allow-unsigned']);
    await altered.close();
  });

  it('is asked for by default', async () => {
    const reader = await PackageReader.open([shop.path('plain')]);
    await expect(checkTrust(reader, { trusted: [], receiptDir: shop.path('receipts') })).rejects.toMatchObject({
      code: 'signature_missing',
    });
    await reader.close();
  });

  it('only warns of a clock that is years behind', async () => {
    const reader = await PackageReader.open([shop.path('plain')]);
    const options = { trusted: [], receiptDir: shop.path('receipts'), allowUnsigned: true };
    const { warnings } = await checkTrust(reader, { ...options, now: new Date('2001-01-01') });
    expect(warnings.join()).toContain('check this machine');
    await reader.close();
  });
});
