import { describe, expect, it } from 'vitest';
import type { ListedUsage } from '../../../contract/usage.ts';
import { usageOf } from '../../../tests/db/usage-record.ts';
import { csvExport, ndjsonExport, type PageReader } from './export.ts';

const record = (n: number): ListedUsage => ({
  ...usageOf({
    request_id: `r${n}`,
    at: '2026-01-01T00:00:00.000Z',
    key_id: 'k',
    served_name: '=HYPERLINK("http://x")',
    requested_name: 'a,b',
    prompt_tokens: 1,
    completion_tokens: 2,
    duration_ms: 1.5,
  }),
  key_name: '@key',
});

/** Three pages of one record each. */
function reader(): { read: PageReader; asked: (string | undefined)[] } {
  const asked: (string | undefined)[] = [];
  const read: PageReader = async ({ cursor }) => {
    asked.push(cursor);
    const n = Number(cursor ?? 0);
    return { records: [record(n)], next_cursor: n < 2 ? String(n + 1) : null };
  };
  return { read, asked };
}

describe('an export', () => {
  it('asks for a page only once the one before is taken, and for none after its reader has gone', async () => {
    const { read, asked } = reader();
    const pieces = ndjsonExport(read, {});
    expect(asked).toEqual([]);
    await pieces.next();
    expect(asked).toEqual([undefined]);
    await pieces.next();
    expect(asked).toEqual([undefined, '1']);
    await pieces.return(undefined);
    expect(asked).toEqual([undefined, '1']);
  });

  it('as NDJSON holds each record as it is', async () => {
    let text = '';
    for await (const piece of ndjsonExport(reader().read, {})) text += piece;
    const lines = text.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([record(0), record(1), record(2)]);
  });

  it('as CSV names its columns and holds nothing that a spreadsheet runs', async () => {
    let text = '';
    for await (const piece of csvExport(reader().read, {})) text += piece;
    const [head, first] = text.split('\r\n');
    expect(head).toMatch(/^\uFEFFrequest_id,at,.*,key_name$/);
    expect(first).toContain(`"'=HYPERLINK(""http://x"")","a,b"`);
    expect(first).toMatch(/,'@key$/);
  });
});
