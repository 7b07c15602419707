import fc from 'fast-check';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { usageRollups } from '../../backend/src/db/migrations/2026-11-24-usage-rollups.ts';
import { insertUsage, listUsage } from '../../backend/src/db/usage-records.ts';
import { deleteHoursBefore, deleteUsageBefore, raiseUsageHorizon } from '../../backend/src/db/usage-retention.ts';
import {
  groupNames,
  largestGroups,
  outcomeCounts,
  rollupTotals,
  seriesPoints,
} from '../../backend/src/db/usage-series.ts';
import { UsageAnalytics } from '../../backend/src/usage/analytics.ts';
import { csvExport } from '../../backend/src/usage/export.ts';
import { UsageRetention } from '../../backend/src/usage/retention.ts';
import { type UsageRecord, usageOutcome } from '../../contract/usage.ts';
import { histogramBoundsMs } from '../../contract/usage-analytics.ts';
import { onBothDatabases } from './both-databases.ts';
import { usageOf } from './usage-record.ts';

const ms = fc.oneof(fc.constantFrom(0, ...histogramBoundsMs), fc.double({ min: 0, max: 200_000, noNaN: true }));
const records = fc.array(
  fc.record({
    at: fc
      .integer({ min: 0, max: 3 * 24 * 60 })
      .map((minutes) => new Date(Date.UTC(2026, 2, 28) + minutes * 60_000).toISOString()),
    key_id: fc.constantFrom(null, 'k1', 'k2'),
    user_id: fc.constantFrom(null, 'u1'),
    served_name: fc.constantFrom('llama', 'héllo "🙂"'),
    replica: fc.constantFrom(null, 'a', 'b'),
    streamed: fc.boolean(),
    outcome: fc.constantFrom(...usageOutcome.options),
    prompt_tokens: fc.nat(1_000_000),
    completion_tokens: fc.nat(1000),
    cached_tokens: fc.nat(1000),
    estimated: fc.boolean(),
    duration_ms: ms,
    queue_ms: ms,
    first_byte_ms: fc.option(ms),
  }),
  { minLength: 1, maxLength: 60 },
);
/** Which of the requests a batch holds: some twice, some in several batches. */
const picks = fc.array(fc.array(fc.nat(59), { maxLength: 60 }), { minLength: 1, maxLength: 4 });

const keyOf = (record: UsageRecord, unit: 'hour' | 'day') =>
  JSON.stringify([
    `${record.at.slice(0, unit === 'hour' ? 13 : 10)}`,
    record.key_id ?? '',
    record.user_id ?? '',
    record.served_name,
    record.replica ?? '',
    record.outcome,
  ]);
const barOf = (value: number) => {
  const bar = histogramBoundsMs.findIndex((bound) => value < bound);
  return bar === -1 ? histogramBoundsMs.length : bar;
};
const histogramOf = (values: readonly number[]) =>
  Array.from({ length: 14 }, (_, bar) => values.filter((value) => barOf(value) === bar).length);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** What a roll-up should hold, worked out from the records one by one. */
function expected(all: readonly UsageRecord[], unit: 'hour' | 'day') {
  const groups = new Map<string, UsageRecord[]>();
  for (const record of all) groups.set(keyOf(record, unit), [...(groups.get(keyOf(record, unit)) ?? []), record]);
  return new Map(
    [...groups].map(([key, group]) => {
      const ttft = group.flatMap((one) => (one.streamed && one.first_byte_ms !== null ? [one.first_byte_ms] : []));
      return [
        key,
        {
          requests: group.length,
          estimated: group.filter((one) => one.estimated).length,
          prompt_tokens: sum(group.map((one) => one.prompt_tokens)),
          completion_tokens: sum(group.map((one) => one.completion_tokens)),
          cached_tokens: sum(group.map((one) => one.cached_tokens)),
          duration_ms: Math.round(sum(group.map((one) => one.duration_ms)) * 1000),
          queue_ms: Math.round(sum(group.map((one) => one.queue_ms)) * 1000),
          ttft_ms: Math.round(sum(ttft) * 1000),
          ttft_count: ttft.length,
          last_at: group
            .map((one) => one.at)
            .sort()
            .at(-1),
          duration: histogramOf(group.map((one) => one.duration_ms)),
          ttft: histogramOf(ttft),
        },
      ] as const;
    }),
  );
}

onBothDatabases((database) => {
  const db = () => database().db;
  beforeEach(async () => {
    await sql`truncate usage, usage_hourly, usage_daily`.execute(db());
    await sql`update usage_horizon set kept_since = '-infinity'`.execute(db());
  });

  async function stored(unit: 'hour' | 'day') {
    const rows = await db()
      .selectFrom(unit === 'hour' ? 'usage_hourly' : ('usage_daily' as 'usage_hourly'))
      .selectAll()
      .execute();
    return new Map(
      rows.map((row) => {
        const values = row as unknown as Record<string, number>;
        return [
          JSON.stringify([
            row.bucket.toISOString().slice(0, unit === 'hour' ? 13 : 10),
            row.key_id,
            row.user_id,
            row.served_name,
            row.replica,
            row.outcome,
          ]),
          {
            requests: row.requests,
            estimated: row.estimated,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            cached_tokens: row.cached_tokens,
            duration_ms: Math.round(row.duration_ms * 1000),
            queue_ms: Math.round(row.queue_ms * 1000),
            ttft_ms: Math.round(row.ttft_ms * 1000),
            ttft_count: row.ttft_count,
            last_at: row.last_at.toISOString(),
            duration: Array.from({ length: 14 }, (_, bar) => values[`duration_h${bar}`]),
            ttft: Array.from({ length: 14 }, (_, bar) => values[`ttft_h${bar}`]),
          },
        ] as const;
      }),
    );
  }

  describe('the roll-ups', () => {
    it('are the sums of single requests, whatever batches come and how often', async () => {
      await fc.assert(
        fc.asyncProperty(records, picks, async (given, batches) => {
          await sql`truncate usage, usage_hourly, usage_daily`.execute(db());
          const pool = given.map((one, n) => usageOf({ ...one, request_id: `r${n}` }));
          const first = new Map<string, UsageRecord>();
          for (const batch of batches) {
            const whole = batch.flatMap((n) => pool[n] ?? []);
            for (const record of whole) first.set(record.request_id, record);
            await insertUsage(db(), whole);
            await insertUsage(db(), whole);
          }
          for (const unit of ['hour', 'day'] as const)
            expect(await stored(unit)).toEqual(expected([...first.values()], unit));
        }),
        { numRuns: 25 },
      );
    });

    it('are filled from what was there when they are made', async () => {
      const [batch] = fc.sample(records, { seed: 7, numRuns: 8 }).sort((a, b) => b.length - a.length);
      await insertUsage(
        db(),
        (batch ?? []).map((one) => usageOf(one)),
      );
      const before = [await stored('hour'), await stored('day')];
      expect(before[0]?.size).toBeGreaterThan(5);
      const rollback = new Error('only a trial');
      const trial = db()
        .transaction()
        .execute(async (tx) => {
          await sql`drop table usage_hourly, usage_daily, usage_horizon`.execute(tx);
          await sql`drop index usage_user, usage_outcome`.execute(tx);
          await usageRollups.up(tx);
          const rows = async (table: 'usage_hourly' | 'usage_daily') =>
            (await sql`select * from ${sql.table(table)} order by 1, 2, 3, 4, 5, 6, 7, 8`.execute(tx)).rows;
          const refilled = [await rows('usage_hourly'), await rows('usage_daily')];
          throw Object.assign(rollback, { refilled });
        });
      await expect(trial).rejects.toBe(rollback);
      const kept = await Promise.all(
        ['usage_hourly', 'usage_daily'].map(
          async (table) =>
            (await sql`select * from ${sql.table(table)} order by 1, 2, 3, 4, 5, 6, 7, 8`.execute(db())).rows,
        ),
      );
      const rounded = (value: unknown) =>
        JSON.parse(
          JSON.stringify(value, (_, one: unknown) => (typeof one === 'number' ? Math.round(one * 1000) : one)),
        ) as unknown;
      expect(rounded((rollback as Error & { refilled?: unknown }).refilled)).toEqual(rounded(kept));
    });

    it('stay right where two writers add to the same rows at once', async () => {
      const batches = Array.from({ length: 12 }, (_, batch) =>
        Array.from({ length: 40 }, (_, n) =>
          usageOf({ request_id: `w${batch}-${n}`, served_name: `m${(n * 7 + batch) % 10}` }),
        ),
      );
      await Promise.all(
        batches.flatMap((batch) => [insertUsage(db(), batch), insertUsage(db(), [...batch].reverse())]),
      );
      expect(sum([...(await stored('hour')).values()].map(({ requests }) => requests))).toBe(480);
      expect(sum([...(await stored('day')).values()].map(({ requests }) => requests))).toBe(480);
    });

    it('are not stopped by a name that no text of the database can hold', async () => {
      const names = ['\u0000', 'a\u0000b', '\uD800', '\uDC00x', '\\u0000', '🙂', "';--", '{"a":1}'];
      await insertUsage(
        db(),
        names.map((name) => usageOf({ served_name: name, requested_name: name, cause: name })),
      );
      const { records: found } = await listUsage(db(), { limit: 20 });
      expect(found.map((one) => one.served_name).sort()).toEqual(
        ['\uFFFD', 'a\uFFFDb', '\uFFFD', '\uFFFDx', '\\u0000', '🙂', "';--", '{"a":1}'].sort(),
      );
    });

    it('take nothing of a batch that fails', async () => {
      const bad = [usageOf(), usageOf({ prompt_tokens: 2 ** 70 })];
      await expect(insertUsage(db(), bad)).rejects.toThrow();
      expect((await stored('hour')).size + (await stored('day')).size).toBe(0);
      expect((await listUsage(db(), { limit: 5 })).records).toEqual([]);
    });
  });

  describe('retention', () => {
    const now = Date.UTC(2026, 5, 1, 12);
    const day = 86_400_000;
    const at = (daysAgo: number) => new Date(now - daysAgo * day).toISOString();
    const retention = () =>
      new UsageRetention({
        retentionDays: 30,
        hourlyRetentionDays: 60,
        raiseHorizon: (before) => raiseUsageHorizon(db(), before),
        deleteRequests: (before, limit) => deleteUsageBefore(db(), before, limit),
        deleteHours: (before, limit) => deleteHoursBefore(db(), before, limit),
        logger: { info: () => undefined, warn: () => undefined },
        batchSize: 3,
        pauseMs: 0,
        firstAfterMs: 1_000_000,
      });

    it('removes only what is older than the settings keep, and never the days', async () => {
      const ages = [0, 29.999, 30, 30.001, 31, 45, 59, 61, 62, 63, 64, 400];
      await insertUsage(
        db(),
        ages.map((age) => usageOf({ request_id: `age-${age}`, at: at(age) })),
      );
      const sweeper = retention();
      expect(await sweeper.sweep(now)).toEqual({ requests: 9, hours: 5 });
      expect(await sweeper.sweep(now)).toEqual({ requests: 0, hours: 0 });
      await sweeper.close();
      const left = (await listUsage(db(), { limit: 100 })).records.map(({ request_id }) => request_id);
      expect(left).toEqual(['age-0', 'age-29.999', 'age-30']);
      expect(sum([...(await stored('hour')).values()].map(({ requests }) => requests))).toBe(7);
      expect(sum([...(await stored('day')).values()].map(({ requests }) => requests))).toBe(12);
    });

    it('does not count a request again that was deleted and comes once more', async () => {
      const batch = [usageOf({ request_id: 'old', at: at(31) }), usageOf({ request_id: 'new', at: at(1) })];
      await insertUsage(db(), batch);
      const sweeper = retention();
      await sweeper.sweep(now);
      await sweeper.close();
      await insertUsage(db(), batch);
      expect(sum([...(await stored('day')).values()].map(({ requests }) => requests))).toBe(2);
      expect((await listUsage(db(), { limit: 100 })).records).toHaveLength(1);
    });

    it('never lowers the horizon', async () => {
      await raiseUsageHorizon(db(), new Date(now));
      await raiseUsageHorizon(db(), new Date(now - day));
      await insertUsage(db(), [usageOf({ at: at(0.5) })]);
      expect((await listUsage(db(), { limit: 1 })).records).toEqual([]);
    });
  });

  describe('analytics', () => {
    const analytics = () =>
      new UsageAnalytics(
        {
          largestGroups: (...question) => largestGroups(db(), ...question),
          seriesPoints: (...question) => seriesPoints(db(), ...question),
          totals: (range) => rollupTotals(db(), range),
          outcomes: (range) => outcomeCounts(db(), range),
          names: (group, ids) => groupNames(db(), group, ids),
        },
        100_000,
      );

    it('shows zeros where there was no request', async () => {
      await insertUsage(db(), [
        usageOf({ at: '2026-01-01T01:59:59.999Z' }),
        usageOf({ at: '2026-01-01T04:00:00.000Z', outcome: 'refused' }),
        usageOf({ at: '2026-01-01T05:00:00.000Z' }),
      ]);
      const series = await analytics().series({
        from: '2026-01-01T01:30:00Z',
        to: '2026-01-01T06:00:00+01:00',
        group: 'none',
      });
      expect(series.times.map((time) => time.slice(11, 13))).toEqual(['01', '02', '03', '04']);
      expect(series.series).toEqual([
        {
          id: null,
          name: 'all',
          requests: [1, 0, 0, 1],
          errors: [0, 0, 0, 1],
          prompt_tokens: [7, 0, 0, 7],
          completion_tokens: [11, 0, 0, 11],
          cached_tokens: [0, 0, 0, 0],
        },
      ]);
    });

    it('gives the same sums whatever it is split by, the small groups together', async () => {
      const batch = Array.from({ length: 120 }, (_, n) =>
        usageOf({
          served_name: `m${n % 15}`,
          key_id: n % 3 === 0 ? null : `k${n % 11}`,
          replica: n % 2 === 0 ? 'a' : null,
          outcome: usageOutcome.options[n % 5] ?? 'ok',
          at: new Date(Date.UTC(2026, 0, 1) + n * 3_000_000).toISOString(),
        }),
      );
      await insertUsage(db(), batch);
      const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-08T00:00:00Z' };
      for (const bucket of ['hour', 'day'] as const) {
        for (const group of ['none', 'model', 'key', 'user', 'endpoint', 'outcome', 'replica'] as const) {
          const { series, times } = await analytics().series({ ...range, bucket, group });
          expect(sum(series.flatMap(({ requests }) => requests)), `${bucket} ${group}`).toBe(120);
          expect(series.every(({ requests }) => requests.length === times.length)).toBe(true);
          if (group === 'model') expect(series.map(({ id }) => id).slice(-1)).toEqual([null]);
          if (group === 'model') expect(series).toHaveLength(9);
        }
        const summary = await analytics().summary({ ...range, bucket, model: 'm1' });
        expect(summary.totals.requests).toBe(8);
        expect(summary.models).toHaveLength(1);
      }
    });

    it('sums up a range with its percentiles', async () => {
      await insertUsage(
        db(),
        Array.from({ length: 100 }, (_, n) =>
          usageOf({ first_byte_ms: n < 90 ? 60 : 3000, duration_ms: 500, outcome: n < 5 ? 'engine_error' : 'ok' }),
        ),
      );
      const { totals, outcomes } = await analytics().summary({
        from: '2026-01-02T03:00:00Z',
        to: '2026-01-02T04:00:00Z',
      });
      expect(totals).toMatchObject({ requests: 100, errors: 5, error_share: 0.05, prompt_tokens: 700 });
      expect(totals.ttft_p50_ms).toBeGreaterThan(50);
      expect(totals.ttft_p50_ms).toBeLessThan(100);
      expect(totals.ttft_p95_ms).toBeGreaterThan(1600);
      expect(totals.ttft_p95_ms).toBeLessThan(3200);
      expect(outcomes).toEqual([
        { outcome: 'ok', requests: 95 },
        { outcome: 'engine_error', requests: 5 },
      ]);
    });

    it('of nothing is zero', async () => {
      const { totals, models } = await analytics().summary({
        from: '2020-01-01T00:00:00Z',
        to: '2020-01-02T00:00:00Z',
      });
      expect(totals).toMatchObject({ requests: 0, error_share: 0, ttft_p50_ms: null, queue_mean_ms: null });
      expect(models).toEqual([]);
    });
  });

  describe('paging', () => {
    it('shows each request once, newest first, while others come in', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 40 }),
          fc.integer({ min: 1, max: 7 }),
          async (moments, limit) => {
            await sql`truncate usage, usage_hourly, usage_daily`.execute(db());
            const at = (moment: number) => new Date(Date.UTC(2026, 0, 1) + moment).toISOString();
            const all = moments.map((moment, n) => usageOf({ request_id: `p${n}`, at: at(moment) }));
            await insertUsage(db(), all);
            const seen: UsageRecord[] = [];
            let cursor: string | undefined;
            do {
              const page = await listUsage(db(), { limit, cursor });
              expect(page.records.length).toBeLessThanOrEqual(limit);
              seen.push(...page.records);
              cursor = page.next_cursor ?? undefined;
              if (cursor !== undefined) await insertUsage(db(), [usageOf({ at: at(1000) })]);
            } while (cursor !== undefined);
            expect(seen.map(({ request_id }) => request_id).sort()).toEqual(all.map((one) => one.request_id).sort());
            expect(seen.map(({ at: time }) => time)).toEqual(
              seen
                .map(({ at: time }) => time)
                .sort()
                .reverse(),
            );
          },
        ),
        { numRuns: 20 },
      );
    });

    it('keeps to every filter', async () => {
      const given = {
        model: 'm2',
        key_id: 'k2',
        user_id: 'u2',
        organization_id: 'o2',
        endpoint: '/v1/embeddings',
        outcome: 'client_gone',
        replica: 'r2',
      } as const;
      const { model, ...same } = given;
      const other = usageOf({ at: '2026-01-03T00:00:00.000Z', ...same, served_name: model });
      await insertUsage(db(), [usageOf(), other]);
      for (const [name, value] of Object.entries(given)) {
        const { records: found } = await listUsage(db(), { limit: 5, [name]: value });
        expect(
          found.map(({ request_id }) => request_id),
          name,
        ).toEqual([other.request_id]);
      }
      const early = await listUsage(db(), { limit: 5, to: '2026-01-03T00:00:00Z' });
      const late = await listUsage(db(), { limit: 5, from: '2026-01-03T00:00:00Z' });
      expect([early.records.length, late.records[0]?.request_id]).toEqual([1, other.request_id]);
    });

    it('refuses a cursor that was made up', async () => {
      for (const cursor of [
        'x',
        '!!',
        Buffer.from('["x","y"]').toString('base64url'),
        Buffer.from('{}').toString('base64url'),
      ])
        await expect(listUsage(db(), { limit: 5, cursor })).rejects.toMatchObject({
          code: 'invalid_request',
          param: 'cursor',
        });
    });

    it('carries all into an export', async () => {
      await insertUsage(
        db(),
        Array.from({ length: 1501 }, (_, n) => usageOf({ request_id: `e${n}` })),
      );
      let text = '';
      for await (const piece of csvExport((filter) => listUsage(db(), filter), {})) text += piece;
      const lines = text.trim().split('\r\n').slice(1);
      expect(new Set(lines.map((line) => line.split(',', 1)[0])).size).toBe(1501);
    });
  });
});
