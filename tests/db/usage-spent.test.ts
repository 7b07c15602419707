import { expect, it } from 'vitest';
import { insertUsage } from '../../backend/src/db/usage-records.ts';
import { spentTokens } from '../../backend/src/db/usage-spent.ts';
import { onBothDatabases } from './both-databases.ts';
import { usageOf } from './usage-record.ts';

onBothDatabases((database) => {
  it('tells what subjects have used of this day and of this month, in UTC', async () => {
    const { db } = database();
    const used = (at: string, key_id: string, tokens: number) =>
      usageOf({ at, key_id, served_name: `model-of-${key_id}`, prompt_tokens: tokens, completion_tokens: 1 });
    await insertUsage(db, [
      used('2026-02-28T23:59:59.999Z', 'k1', 1_000_000),
      used('2026-03-01T00:00:00.000Z', 'k1', 100),
      used('2026-03-30T23:59:59.999Z', 'k1', 20),
      used('2026-03-31T00:00:00.000Z', 'k1', 3),
      used('2026-03-02T12:00:00.000Z', 'k2', 7),
      used('2026-03-31T12:00:00.000Z', 'k3', 7),
    ]);
    const now = new Date('2026-03-31T23:30:00Z');
    const spent = await spentTokens(db, 'key', ['k1', 'k2', 'k4'], now);
    expect(spent.sort((a, b) => a.id.localeCompare(b.id))).toEqual([
      { id: 'k1', day: 4, month: 126 },
      { id: 'k2', day: 0, month: 8 },
    ]);
    expect(await spentTokens(db, 'model', ['model-of-k3'], now)).toEqual([{ id: 'model-of-k3', day: 8, month: 8 }]);
  });
});
