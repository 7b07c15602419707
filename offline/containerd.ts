import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CortexError } from '../contract/errors.ts';
import { keepLoadedBill } from './bill-file.ts';
import { archiveOf } from './engine-stream.ts';
import type { Report } from './events.ts';
import { canonicalName, parseImageReference } from './image-reference.ts';
import type { LoadResult } from './load.ts';
import { imagesFor } from './load.ts';
import type { PackageReader } from './package-reader.ts';

/**
 * Imports every image with containerd's own `ctr`, where there is no Docker. It counts as loaded when containerd names the
 * bill's manifest for it and finds all of its content.
 * @throws CortexError program_missing
 */
export async function loadIntoContainerd(options: {
  readonly reader: PackageReader;
  readonly receiptDir: string;
  readonly namespace: string;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}): Promise<LoadResult> {
  const { reader, namespace, report, signal } = options;
  const platform = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const objects: { name: string; result: string }[] = [];
  const failures: { file: string; error: CortexError }[] = [];
  report({ kind: 'started', work: 'load', dir: reader.media.map(({ dir }) => dir).join(', ') });
  for (const image of imagesFor(reader.bill, platform)) {
    if (signal?.aborted) throw new CortexError('interrupted', {});
    const { file, sizeBytes } = image;
    const name = canonicalName(parseImageReference(image.reference));
    report({ kind: 'file-started', file, sizeBytes });
    try {
      if (await isComplete(namespace, name, image.manifest_digest)) {
        objects.push({ name: file, result: 'present' });
        report({ kind: 'file-done', file, sizeBytes, note: 'present' });
        continue;
      }
      const tar = image.blobs.length === 0 ? reader.stream(file) : archiveOf(image, reader);
      await runCtr(
        namespace,
        ['images', 'import', '--digests', '-'],
        Readable.from(
          counted(tar, (bytes) => report({ kind: 'bytes', file, bytes })),
          { objectMode: false },
        ),
      );
      if (!(await isComplete(namespace, name, image.manifest_digest))) {
        await runCtr(namespace, ['images', 'rm', name]).catch(() => undefined);
        throw new CortexError('image_identity_wrong', {
          image: image.reference,
          expected: image.manifest_digest,
          found: 'something else',
        });
      }
      objects.push({ name: file, result: 'loaded' });
      report({ kind: 'file-done', file, sizeBytes, note: 'new' });
    } catch (error) {
      if (!(error instanceof CortexError) || error.code === 'program_missing') throw error;
      const { code, message, hint } = error;
      failures.push({ file, error });
      objects.push({ name: file, result: code });
      report({ kind: 'file-failed', file, sizeBytes, code, message, hint });
    }
  }
  if (failures.length === 0) await keepLoadedBill(options.receiptDir, reader.bill);
  return { loaded: objects.length - failures.length, objects, failures };
}

async function* counted(source: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const bytes of source) {
    onBytes(bytes.length);
    yield bytes;
  }
}

/** `ctr images check` tells of an image whose content is not all there. */
async function isComplete(namespace: string, name: string, manifestDigest: string): Promise<boolean> {
  const told = await runCtr(namespace, ['images', 'check', `name==${name}`]);
  const line = told.split('\n').find((one) => one.startsWith(`${name} `));
  return line?.includes(manifestDigest) === true && / complete /.test(line);
}

async function runCtr(namespace: string, args: readonly string[], input?: Readable): Promise<string> {
  const child = spawn('ctr', ['--namespace', namespace, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new CortexError('program_missing', { program: 'containerd', reason: cause.message }, { cause })),
    );
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  if (input === undefined) child.stdin.end();
  else {
    const fed = await pipeline(input, child.stdin).then(
      () => null,
      (error: unknown) => error,
    );
    // ctr that gave up early breaks the pipe; its own words say why.
    if (fed instanceof CortexError) {
      child.kill();
      await ended;
      throw fed;
    }
  }
  const code = await ended;
  if (code === 0) return output;
  throw new CortexError('docker_failed', {
    action: `ctr ${args.slice(0, 2).join(' ')}`,
    reason: errors.trim().slice(-500) || `exit code ${code}`,
  });
}
