import { type ListedUsage, listedUsage, type UsageFilter } from '../../../contract/usage.ts';
import { csvLine } from './csv.ts';

/** Gives a page of single requests, newest first. */
export type PageReader = (
  filter: UsageFilter & { limit: number; cursor?: string | undefined },
) => Promise<{ readonly records: readonly ListedUsage[]; readonly next_cursor: string | null }>;

const pageSize = 1000;
const columns = listedUsage.keyof().options;

/** All requests that match as CSV, a page at a time: a long export needs no more memory than a short one. */
export async function* csvExport(read: PageReader, filter: UsageFilter): AsyncGenerator<string> {
  // Spreadsheets take a file without the mark for one of their own old alphabet.
  yield `\uFEFF${csvLine(columns)}`;
  for await (const records of pages(read, filter))
    yield records.map((record) => csvLine(columns.map((column) => record[column]))).join('');
}

/** The same as one JSON object a line. */
export async function* ndjsonExport(read: PageReader, filter: UsageFilter): AsyncGenerator<string> {
  for await (const records of pages(read, filter))
    yield records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

async function* pages(read: PageReader, filter: UsageFilter): AsyncGenerator<readonly ListedUsage[]> {
  let cursor: string | undefined;
  do {
    const page = await read({ ...filter, limit: pageSize, ...(cursor === undefined ? {} : { cursor }) });
    if (page.records.length > 0) yield page.records;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}
