import { type Kysely, type Migration, sql } from 'kysely';

const boundsMs = [25, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400];
const key = 'bucket, served_name, key_id, user_id, organization_id, endpoint, outcome, replica';
const bars = (name: string) => Array.from({ length: boundsMs.length + 1 }, (_, bar) => `${name}_h${bar}`);
const barColumns = [...bars('duration'), ...bars('ttft')];

/** Sums by hour and by day, what they need to stay right once single requests are deleted, and indexes for paging. */
export const usageRollups: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const [table, unit] of [
      ['usage_hourly', 'hour'],
      ['usage_daily', 'day'],
    ] as const) {
      // Room on each page, so that adding to a row of the running hour leaves the indexes alone.
      await sql
        .raw(
          `create table ${table} (
            bucket timestamptz not null,
            key_id text not null,
            user_id text not null,
            organization_id text not null,
            served_name text not null,
            replica text not null,
            endpoint text not null,
            outcome text not null,
            requests bigint not null,
            estimated bigint not null,
            prompt_tokens bigint not null,
            completion_tokens bigint not null,
            cached_tokens bigint not null,
            duration_ms double precision not null,
            queue_ms double precision not null,
            ttft_ms double precision not null,
            ttft_count bigint not null,
            last_at timestamptz not null,
            ${barColumns.map((column) => `${column} integer not null`).join(', ')},
            primary key (${key})
          ) with (fillfactor = 90)`,
        )
        .execute(db);
      await sql.raw(`create index ${table}_key on ${table} (key_id, bucket)`).execute(db);
      await sql.raw(fill(table, unit)).execute(db);
    }

    await sql`create table usage_horizon (
      one boolean primary key default true check (one),
      kept_since timestamptz not null
    )`.execute(db);
    await sql`insert into usage_horizon (kept_since) values ('-infinity')`.execute(db);

    // For pages, newest first. Those of the same moment are sorted when they are read: with the request's id in it, each
    // index would be twice as large.
    for (const index of ['usage_at', 'usage_key', 'usage_model']) await sql.raw(`drop index ${index}`).execute(db);
    const order = 'at desc';
    await sql.raw(`create index usage_at on usage (${order})`).execute(db);
    await sql.raw(`create index usage_key on usage (key_id, ${order})`).execute(db);
    await sql.raw(`create index usage_model on usage (served_name, ${order})`).execute(db);
    await sql.raw(`create index usage_user on usage (user_id, ${order})`).execute(db);
    // Few requests fail, and those are what people look for.
    await sql.raw(`create index usage_outcome on usage (outcome, ${order}) where outcome <> 'ok'`).execute(db);
  },
};

function fill(table: string, unit: string): string {
  const duration = boundsMs
    .map((_, bar) => counted('duration_ms', bar))
    .concat(counted('duration_ms', boundsMs.length));
  const ttft = boundsMs
    .map((_, bar) => `${counted('first_byte_ms', bar)} filter (where streamed)`)
    .concat(`${counted('first_byte_ms', boundsMs.length)} filter (where streamed)`);
  return `insert into ${table} (
      ${key}, requests, estimated, prompt_tokens, completion_tokens, cached_tokens, duration_ms, queue_ms,
      ttft_ms, ttft_count, last_at, ${barColumns.join(', ')}
    )
    select date_trunc('${unit}', at, 'UTC'), served_name, coalesce(key_id, ''), coalesce(user_id, ''),
      coalesce(organization_id, ''), endpoint, outcome, coalesce(replica, ''), count(*),
      count(*) filter (where estimated), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens),
      sum(duration_ms), sum(queue_ms), coalesce(sum(first_byte_ms) filter (where streamed), 0),
      count(first_byte_ms) filter (where streamed), max(at), ${[...duration, ...ttft].join(', ')}
    from usage group by 1, 2, 3, 4, 5, 6, 7, 8`;
}

function counted(column: string, bar: number): string {
  const from = bar === 0 ? '' : `${column} >= ${boundsMs[bar - 1]}`;
  const to = bar === boundsMs.length ? '' : `${column} < ${boundsMs[bar]}`;
  return `count(case when ${[from, to].filter((part) => part !== '').join(' and ')} then 1 end)`;
}
