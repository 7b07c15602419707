import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { fileName } from './bill.ts';
import { writeDurably } from './durable-file.ts';
import type { BadChunk, PackageReader } from './package-reader.ts';

const repairRequest = z.object({
  request_version: z.literal(1),
  package_id: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: z.iso.datetime(),
  chunks: z.array(z.object({ file: fileName, index: z.number().int().min(0) })).max(10_000_000),
});
export type RepairRequest = z.infer<typeof repairRequest>;

/** The small file that goes out of the gap: which chunks of which package are bad. */
export function renderRepairRequest(reader: PackageReader, bad: readonly BadChunk[]): Buffer {
  const request: RepairRequest = {
    request_version: 1,
    package_id: reader.bill.package_id,
    created_at: new Date().toISOString(),
    chunks: bad.map(({ file, index }) => ({ file, index })),
  };
  return Buffer.from(`${JSON.stringify(request, null, 1)}\n`);
}

/**
 * Answers a request with a folder that holds those chunks and nothing else, each named by its sum. It needs no signature: the
 * bill inside says what each chunk must be, and a chunk with another sum is not taken.
 * @returns how many chunks and bytes
 * @throws CortexError repair_invalid, package_file_*
 */
export async function answerRepair(
  requestFile: string,
  reader: PackageReader,
  outputDir: string,
): Promise<{ chunks: number; bytes: number }> {
  const text = await readFile(requestFile, 'utf8').catch((cause: unknown) => {
    throw new CortexError('repair_invalid', { file: requestFile, reason: 'it is not there' }, { cause });
  });
  const parsed = repairRequest.safeParse(parseJson(text));
  if (!parsed.success)
    throw new CortexError('repair_invalid', { file: requestFile, reason: 'it is no repair request' });
  const { package_id, chunks } = parsed.data;
  if (package_id !== reader.bill.package_id) {
    const reason = `it asks for the package ${package_id.slice(0, 12)}, and this is ${reader.bill.package_id.slice(0, 12)}`;
    throw new CortexError('repair_invalid', { file: requestFile, reason });
  }
  await mkdir(join(outputDir, 'chunks'), { recursive: true });
  let total = 0;
  for (const { file, index } of chunks) {
    const billed = reader.file(file);
    if (index >= reader.chunkCount(billed))
      throw new CortexError('repair_invalid', { file: requestFile, reason: `${file} has no chunk ${index}` });
    const bytes = await reader.chunk(file, index);
    await writeDurably(join(outputDir, 'chunks', billed.chunks[index] ?? billed.sha256), bytes);
    total += bytes.length;
  }
  await writeDurably(join(outputDir, 'repair.json'), Buffer.from(JSON.stringify(parsed.data)));
  return { chunks: chunks.length, bytes: total };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
