import { expect, it } from 'vitest';
import { insertUsageJson, listUsage } from '../../backend/src/db/usage-records.ts';
import type { UsageRecord } from '../../contract/usage.ts';
import { onBothDatabases } from './both-databases.ts';
import { usageOf } from './usage-record.ts';

const jsonOf = (...lines: readonly string[]) => Buffer.from(`[${lines.join(',')}]`);
const lineOf = (record: unknown) => JSON.stringify(record);

onBothDatabases((database) => {
  const kept = async (model: string) => (await listUsage(database().db, { limit: 100, model })).records;

  it("takes the journal's lines as they are, each request once", async () => {
    const records: UsageRecord[] = [
      usageOf({ served_name: 'as-is', cause: 'über "q" \\ 🙂' }),
      usageOf({ served_name: 'as-is' }),
    ];
    expect(await insertUsageJson(database().db, jsonOf(...records.map(lineOf)))).toBe(true);
    expect(await insertUsageJson(database().db, jsonOf(...records.map(lineOf)))).toBe(true);
    const rows = await kept('as-is');
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({ ...records[0], key_name: null });
  });

  it.each([
    ['a line that was cut', '{"request_id":"cut","at":"2026-01'],
    ['an empty line', ''],
    ['a version that had fewer fields', '{"request_id":"old","at":"2026-01-02T03:04:05Z","served_name":"bad"}'],
    ['a NUL', JSON.stringify(usageOf({ served_name: 'bad', requested_name: 'a\u0000b' }))],
    ['half a character', JSON.stringify(usageOf({ served_name: 'bad', requested_name: 'a\ud800b' }))],
    ['a time that is none', JSON.stringify(usageOf({ served_name: 'bad', at: 'no time at all' }))],
  ])('leaves all of them where one is %s, for them to be mended first', async (_what, line) => {
    const good = lineOf(usageOf({ served_name: 'bad' }));
    expect(await insertUsageJson(database().db, jsonOf(good, line))).toBe(false);
    expect(await kept('bad')).toEqual([]);
  });
});
