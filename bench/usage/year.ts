import { type Kysely, sql } from 'kysely';
import type { Database } from '../../backend/src/db/schema.ts';
import { histogramBoundsMs } from '../../contract/usage-analytics.ts';

export const keys = 20;
export const models = 10;
const bars = Array.from({ length: histogramBoundsMs.length + 1 }, (_, bar) => bar);
const barColumns = ['duration', 'ttft'].flatMap((name) => bars.map((bar) => `${name}_h${bar}`));
/** 100 requests a second, spread over every pair of a key and a model. */
const requestsAnHour = (100 * 3600) / (keys * models);

/** A year of 100 requests a second, as the roll-ups hold it, and the newest of its single requests. */
export async function fillYear(db: Kysely<Database>, singleRequests: number): Promise<void> {
  await sql`insert into organizations (id, name, created_at) values ('o', 'Bench', now())`.execute(db);
  await sql`insert into users (id, organization_id, username, role, password_hash, must_change_password, created_at)
    select 'u' || n, 'o', 'user ' || n, 'user', 'x', false, now() from generate_series(0, 4) n`.execute(db);
  await sql`insert into api_keys (id, organization_id, user_id, name, prefix, hash, scopes, created_at)
    select 'k' || n, 'o', 'u' || n % 5, 'key ' || n, 'ctx', 'hash' || n, '["chat"]', now()
    from generate_series(0, ${keys - 1}) n`.execute(db);
  const counts = bars.map((bar) => (bar >= 3 && bar <= 8 ? requestsAnHour / 6 : 0));
  await sql
    .raw(`insert into usage_hourly (bucket, served_name, key_id, user_id, organization_id, endpoint, outcome, replica,
        requests, estimated, prompt_tokens, completion_tokens, cached_tokens, duration_ms, queue_ms, ttft_ms,
        ttft_count, last_at, ${barColumns.join(', ')})
      select date_trunc('hour', now(), 'UTC') - make_interval(hours => h), 'model-' || m, 'k' || k, 'u' || k % 5, 'o',
        '/v1/chat/completions', case when (h + k + m) % 40 = 0 then 'engine_error' else 'ok' end, 'cortex-model-' || m,
        ${requestsAnHour}, 3, 900000, 400000, 1000, 9000000, 40000, 700000, ${requestsAnHour},
        now() - make_interval(hours => h), ${[...counts, ...counts].join(', ')}
      from generate_series(0, 8759) h, generate_series(0, ${keys - 1}) k, generate_series(0, ${models - 1}) m`)
    .execute(db);
  const sums = ['requests', 'estimated', 'prompt_tokens', 'completion_tokens', 'cached_tokens', 'duration_ms'].concat(
    ['queue_ms', 'ttft_ms', 'ttft_count'],
    barColumns,
  );
  await sql
    .raw(`insert into usage_daily (bucket, served_name, key_id, user_id, organization_id, endpoint, outcome, replica,
        last_at, ${sums.join(', ')})
      select date_trunc('day', bucket, 'UTC'), served_name, key_id, user_id, organization_id, endpoint, outcome, replica,
        max(last_at), ${sums.map((column) => `sum(${column})`).join(', ')}
      from usage_hourly group by 1, 2, 3, 4, 5, 6, 7, 8`)
    .execute(db);
  await sql
    .raw(`insert into usage (request_id, at, key_id, user_id, organization_id, model_id, served_name, requested_name,
        replica, endpoint, streamed, status, outcome, prompt_tokens, completion_tokens, cached_tokens, estimated,
        duration_ms, queue_ms, first_byte_ms)
      select 'req_' || md5(n::text), now() - n * interval '10 milliseconds', 'k' || n % ${keys}, 'u' || n % 5, 'o', 'm',
        'model-' || n / ${keys} % ${models}, 'asked', null, '/v1/chat/completions', true, 200,
        case when n % 500 = 0 then 'engine_error' else 'ok' end, 900, 400, 0, false, 2500, 10, 200
      from generate_series(1, ${singleRequests}) n`)
    .execute(db);
  await sql`vacuum analyze`.execute(db);
}
