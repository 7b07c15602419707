import { sql } from 'kysely';
import type { LimitSubject } from '../../../contract/routing.ts';
import type { Executor } from './schema.ts';

const columns = {
  key: 'key_id',
  user: 'user_id',
  organization: 'organization_id',
  model: 'served_name',
} as const satisfies Record<LimitSubject, string>;

export interface SpentTokens {
  readonly id: string;
  /** Since the day began, and since the month began, in UTC. */
  readonly day: number;
  readonly month: number;
}

/** What subjects have used of today's and of this month's budget; one that used nothing is left out. */
export function spentTokens(
  db: Executor,
  subject: LimitSubject,
  ids: readonly string[],
  now: Date,
): Promise<SpentTokens[]> {
  const today = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()));
  const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
  const tokens = sql<number>`sum(prompt_tokens + completion_tokens)`;
  return db
    .selectFrom('usage_daily')
    .select([
      sql<string>`${sql.ref(columns[subject])}`.as('id'),
      sql<number>`coalesce(${tokens} filter (where bucket >= ${today}::timestamptz), 0)`.as('day'),
      tokens.as('month'),
    ])
    .where('bucket', '>=', month)
    .where(sql<boolean>`${sql.ref(columns[subject])} = any(${[...ids]}::text[])`)
    .groupBy(columns[subject])
    .execute();
}
