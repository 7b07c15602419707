import type { ColumnType, Generated, Kysely, Transaction } from 'kysely';

type Time = ColumnType<Date, Date | string, Date | string>;
type NullableTime = ColumnType<Date | null, Date | string | null, Date | string | null>;
/** JSON goes in as text and comes out parsed, unchecked: repositories parse it with zod. */
type Json = ColumnType<unknown, string, string>;
type NullableJson = ColumnType<unknown, string | null, string | null>;

interface OrganizationsTable {
  id: string;
  name: string;
  created_at: Time;
}

interface UsersTable {
  id: string;
  organization_id: string;
  username: string;
  role: string;
  password_hash: string;
  must_change_password: boolean;
  created_at: Time;
}

interface SessionsTable {
  id: string;
  /** SHA-256 of the cookie's value, in hex. */
  hash: string;
  user_id: string;
  created_at: Time;
  expires_at: Time;
}

interface ApiKeysTable {
  id: string;
  organization_id: string;
  user_id: string;
  name: string;
  prefix: string;
  /** SHA-256 of the key, in hex. */
  hash: string;
  scopes: Json;
  models: NullableJson;
  networks: NullableJson;
  created_at: Time;
  expires_at: NullableTime;
  revoked_at: NullableTime;
}

interface ModelsTable {
  id: string;
  name: string;
  served_name: string;
  engine: string;
  task: string;
  folder: string;
  file: string | null;
  options: Json;
  wanted: string;
  created_at: Time;
  version: Generated<number>;
  replicas: Generated<number>;
  gpus: ColumnType<unknown, string | null | undefined, string | null>;
}

interface ModelChangesTable {
  model_id: string;
  /** That the change made. */
  version: number;
  at: Time;
  username: string;
  /** Names of fields, never what was in them. */
  fields: Json;
}

interface RecipesTable {
  id: string;
  name: string;
}

interface RecipeVersionsTable {
  recipe_id: string;
  version: number;
  at: Time;
  username: string;
  note: string;
  /** Without secrets. */
  content: Json;
}

interface OnDemandTable {
  model_id: string;
  settings: Json;
}

interface MemoryReportsTable {
  model_id: string;
  at: Time;
  planned: NullableJson;
  reported: Json;
}

interface UsageTable {
  request_id: string;
  at: Time;
  key_id: string | null;
  user_id: string | null;
  organization_id: string | null;
  model_id: string | null;
  served_name: string;
  requested_name: string;
  replica: string | null;
  endpoint: string;
  streamed: boolean;
  status: number;
  outcome: string;
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
  estimated: boolean;
  duration_ms: number;
  queue_ms: number;
  first_byte_ms: number | null;
  cause: string | null;
}

interface AliasesTable {
  name: string;
  targets: Json;
}

interface EndpointsTable {
  id: string;
  name: string;
  served_name: string;
  task: string;
  url: string;
  upstream_model: string | null;
  ca: string | null;
  /** Sealed: see rules/sealed.ts. */
  api_key: string | null;
  created_at: Time;
}

interface LimitsTable {
  subject: string;
  subject_id: string;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  concurrent_requests: number | null;
  tokens_per_day: number | null;
  tokens_per_month: number | null;
}

interface ServingTable {
  served_name: string;
  settings: Json;
}

/** The bars of contract/usage-analytics.ts, one column each. */
type Bar = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13;
type Histograms = { [C in `${'duration' | 'ttft'}_h${Bar}`]: number };

/** Sums over an hour or a day of UTC. What a request does not have (a key, a replica) is an empty text. */
interface UsageRollupTable extends Histograms {
  bucket: Time;
  key_id: string;
  user_id: string;
  organization_id: string;
  served_name: string;
  replica: string;
  endpoint: string;
  outcome: string;
  requests: number;
  estimated: number;
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
  duration_ms: number;
  queue_ms: number;
  /** Of streams with a first byte, and how many those were. */
  ttft_ms: number;
  ttft_count: number;
  last_at: Time;
}

interface UsageHorizonTable {
  one: boolean;
  /** Single requests before it may be deleted already, so one that comes now can't be told from a repeated one. */
  kept_since: Time;
}

interface DownloadsTable {
  id: string;
  repository: string;
  commit: string;
  licence: string | null;
  folder: string;
  files: Json;
  username: string;
  state: string;
  error: NullableJson;
  started_at: Time;
  ended_at: NullableTime;
}

interface BenchmarksTable {
  id: string;
  model_id: string;
  username: string;
  state: string;
  started_at: Time;
  ended_at: NullableTime;
  error: NullableJson;
  settings: Json;
  subject: Json;
  steps: Json;
}

interface HubTokenTable {
  endpoint: string;
  /** See rules/sealed.ts. */
  sealed: string;
}

/** Every table. */
export interface Database {
  organizations: OrganizationsTable;
  users: UsersTable;
  sessions: SessionsTable;
  api_keys: ApiKeysTable;
  models: ModelsTable;
  model_changes: ModelChangesTable;
  recipes: RecipesTable;
  recipe_versions: RecipeVersionsTable;
  memory_reports: MemoryReportsTable;
  on_demand: OnDemandTable;
  usage: UsageTable;
  aliases: AliasesTable;
  endpoints: EndpointsTable;
  limits: LimitsTable;
  serving: ServingTable;
  usage_hourly: UsageRollupTable;
  usage_daily: UsageRollupTable;
  usage_horizon: UsageHorizonTable;
  downloads: DownloadsTable;
  hub_token: HubTokenTable;
  benchmarks: BenchmarksTable;
}

/** What a repository takes first: the database, or a transaction of it. */
export type Executor = Kysely<Database> | Transaction<Database>;
