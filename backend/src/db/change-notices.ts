import pg from 'pg';

export interface ChangeNoticesOptions {
  readonly url: string;
  /** Of what servers keep in memory these tables have changed; null: any may have while nobody listened. */
  readonly onChange: (tables: ReadonlySet<string> | null) => void;
  readonly logger: { warn(details: object, message: string): void };
}

/** Changes come in bursts: a key and its owner. */
const gatherMs = 20;
const firstRetryMs = 500;
const longestRetryMs = 10_000;

/**
 * Hears of changes that other servers on the same Postgres make, so that a key which one of them revokes is refused by all.
 * While the connection is away it is tried again with growing patience.
 */
export function listenForChanges({ url, onChange, logger }: ChangeNoticesOptions): { close(): Promise<void> } {
  let closed = false;
  let client: pg.Client | null = null;
  let retryMs = firstRetryMs;
  let timer: NodeJS.Timeout | null = null;
  let gathering: NodeJS.Timeout | null = null;
  const gathered = new Set<string>();

  const changed = ({ payload }: pg.Notification) => {
    if (payload !== undefined) gathered.add(payload);
    gathering ??= setTimeout(() => {
      gathering = null;
      const tables = new Set(gathered);
      gathered.clear();
      onChange(tables);
    }, gatherMs);
  };
  const again = (error: unknown) => {
    if (closed || timer !== null) return;
    client?.removeAllListeners();
    // It tells of its end once more.
    client?.on('error', () => undefined);
    void client?.end().catch(() => undefined);
    client = null;
    if (retryMs === firstRetryMs) logger.warn({ err: error }, 'Changes of other servers are heard of late for now');
    timer = setTimeout(() => {
      timer = null;
      void connect();
    }, retryMs);
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  };
  const connect = async () => {
    const next = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 5000 });
    client = next;
    next.on('notification', changed);
    next.on('error', again);
    next.on('end', () => again(new Error('the database has closed the connection')));
    try {
      await next.connect();
      await next.query('listen cortex_changes');
      retryMs = firstRetryMs;
      onChange(null);
    } catch (error) {
      again(error);
    }
  };
  void connect();
  return {
    close: async () => {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      if (gathering !== null) clearTimeout(gathering);
      await client?.end().catch(() => undefined);
    },
  };
}
