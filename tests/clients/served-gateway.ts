import { createHash } from 'node:crypto';
import { EngineClient } from '../../backend/src/gateway/engine-client/engine-client.ts';
import { createGateway } from '../../backend/src/gateway/gateway.ts';
import { MemoryLimits } from '../../backend/src/gateway/limits.ts';
import { Queues } from '../../backend/src/gateway/queue.ts';
import { apiHandler, type Listener, listen } from '../../backend/src/listeners.ts';
import { Balancer } from '../../backend/src/routing/balancer.ts';
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
  networks: null,
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
  readonly #client = new EngineClient();

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
    const gateway = createGateway({
      table: this.table,
      balancer: new Balancer(),
      queues: new Queues(),
      waker: { wake: async () => undefined },
      limits: new MemoryLimits(),
      client: this.#client,
      traces: null,
      onRefused: () => undefined,
      onInspected: () => undefined,
      settings: {
        REQUEST_MAX_BODY_BYTES: 256 * 1024,
        REQUEST_MAX_NESTING: 64,
        REQUEST_MAX_CHOICES: 16,
        REQUEST_MAX_TOKENS: 1_000_000,
        REQUEST_MAX_IMAGES: 32,
        TRUSTED_PROXIES: [],
      },
      onRecord: (record) => void this.records.push(record),
      whenKept: (then) => void setImmediate(then),
      logger: { warn: log, error: log },
    });
    const handler = apiHandler(gateway, (_, response) => void response.writeHead(404).end());
    this.#listener = await listen(handler, '127.0.0.1', 0, 'GATEWAY_PORT', gateway);
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
      endpoints: [{ id: 'replica-1', url, apiKey, model: servedName, ca: null, external: false }],
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

  /** The engine has another name for the model than clients. */
  nameAtEngine(servedName: string, model: string): void {
    const renamed = (endpoint: RoutedModel['endpoints'][number]) => ({ ...endpoint, model });
    this.table.replaceModels(
      [...this.table.models()].map((routed) =>
        routed.servedName === servedName ? { ...routed, endpoints: routed.endpoints.map(renamed) } : routed,
      ),
    );
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token('full')}`, ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
    });
  }

  /** Asks for a transcription. The field `file` becomes a file. */
  postForm(fields: Readonly<Record<string, string>>, headers: Record<string, string> = {}): Promise<Response> {
    const body = new FormData();
    for (const [name, text] of Object.entries(fields))
      body.append(name, name === 'file' ? new File([text], 'a.wav') : text);
    return fetch(`${this.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('full')}`, ...headers },
      body,
    });
  }

  async close(): Promise<void> {
    await this.#listener?.close(0);
    this.#client.close();
    await this.engine.close();
  }
}
