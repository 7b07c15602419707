import { createHash } from 'node:crypto';
import { createGateway } from '../../backend/src/gateway/gateway.ts';
import { apiHandler, type Listener, listen } from '../../backend/src/listeners.ts';
import { type KeyEntry, type RoutedModel, RoutingTable } from '../../backend/src/routing/table.ts';
import { scopes } from '../../contract/keys.ts';
import type { UsageRecord } from '../../contract/usage.ts';
import { engineKey, ScriptedEngine, token } from '../fixtures/scripted-engine.ts';

const key = (name: string, changes: Partial<KeyEntry> = {}): KeyEntry => ({
  hash: createHash('sha256').update(token(name)).digest('hex'),
  keyId: `key-${name}`,
  keyName: name,
  userId: 'user-1',
  organizationId: 'org-1',
  scopes: [...scopes],
  models: null,
  expiresAtMs: null,
  ...changes,
});

/**
 * The gateway on production's own listener. Keys: full, expired, lister (scope models only) and narrow (model `chatty`
 * only). Models: chatty, other and org/slashed (generate), vectors (embed), all before `engine`, and sleepy (loading).
 */
export class ServedGateway {
  readonly engine = new ScriptedEngine();
  readonly records: UsageRecord[] = [];
  readonly logged: string[] = [];
  readonly table = new RoutingTable();
  url = '';
  port = 0;
  #listener: Listener | undefined;
  #gateway: ReturnType<typeof createGateway> | undefined;

  async start(): Promise<void> {
    await this.engine.start();
    this.table.replaceKeys([
      key('full'),
      key('expired', { expiresAtMs: 1 }),
      key('lister', { scopes: ['models'] }),
      key('narrow', { models: ['chatty'] }),
    ]);
    this.serveFrom(this.engine.url, engineKey);
    const log = (details: object, message: string) => void this.logged.push(`${message} ${JSON.stringify(details)}`);
    this.#gateway = createGateway({
      table: this.table,
      journal: { append: (record) => void this.records.push(record) },
      settings: { REQUEST_MAX_BODY_BYTES: 256 * 1024 },
      logger: { warn: log, error: log },
    });
    const handler = apiHandler(this.#gateway, (_, response) => void response.writeHead(404).end());
    this.#listener = await listen(handler, '127.0.0.1', 0, 'GATEWAY_PORT');
    this.port = this.#listener.port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** Routes every model to one engine. */
  serveFrom(url: string, apiKey: string): void {
    const model = (servedName: string, changes: Partial<RoutedModel> = {}): RoutedModel => ({
      modelId: `id-${servedName}`,
      servedName,
      task: 'generate',
      state: 'ready',
      createdAtMs: 1_700_000_000_000,
      endpoints: [{ url, apiKey }],
      ...changes,
    });
    this.table.replaceModels([
      model('chatty'),
      model('other'),
      model('org/slashed'),
      model('vectors', { task: 'embed' }),
      model('sleepy', { state: 'loading', endpoints: [] }),
    ]);
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token('full')}`, ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
    });
  }

  async close(): Promise<void> {
    await this.#listener?.close(0);
    await this.#gateway?.close();
    await this.engine.close();
  }
}
