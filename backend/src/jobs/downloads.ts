import type { Download } from '../../../contract/downloads.ts';
import { CortexError } from '../../../contract/errors.ts';
import type { RouteRequest, RouteResponse, Routes } from '../../../contract/routes.ts';
import { HubClient, type HubModel, type HubOptions } from '../../../offline/hub.ts';
import * as records from '../db/download-records.ts';
import type { Executor } from '../db/schema.ts';
import { Seal } from '../rules/sealed.ts';
import { checkSpace, DownloadRun, hasHash, refused } from './download-run.ts';
import { hubChoices, isWanted } from './hub-choices.ts';
import { Staging } from './staging.ts';

export interface DownloadsOptions {
  readonly db: Executor;
  readonly modelsDir: string;
  /** HF_ENDPOINT */
  readonly endpoint: string;
  /** Offline mode, set or detected: then no packet goes to the hub, and its name isn't looked up. */
  readonly isOffline: () => boolean;
  readonly rootSecret: Buffer;
  readonly logger: { warn(facts: object, message: string): void };
}

const licenceLength = 128;

/** Downloads models from a hub into the models folder; what was under way goes on after a restart. */
export class Downloads {
  readonly #options: DownloadsOptions;
  readonly #staging: Staging;
  readonly #seal: Seal;
  readonly #running = new Map<string, { readonly run: DownloadRun; readonly ended: Promise<void> }>();
  /** Folders whose download is about to begin. */
  readonly #taken = new Set<string>();
  #isClosing = false;

  constructor(options: DownloadsOptions) {
    this.#options = options;
    this.#staging = new Staging(options.modelsDir);
    this.#seal = new Seal(options.rootSecret);
  }

  /** Takes up what an earlier process left under way. */
  async takeUp(): Promise<void> {
    for (const record of await records.listDownloads(this.#options.db)) {
      if (record.state !== 'downloading') continue;
      if (this.#options.isOffline()) await this.#end(record, this.#offlineError());
      else await this.#begin(record);
    }
  }

  /** Stops all; they stay `downloading` for the next start. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const running = [...this.#running.values()];
    for (const { run } of running) run.cancel();
    await Promise.all(running.map(({ ended }) => ended));
  }

  async list(): Promise<RouteResponse<Routes['listDownloads']>> {
    const { db, endpoint, isOffline } = this.#options;
    const found = await records.listDownloads(db);
    return {
      downloads: await Promise.all(found.map((record) => this.#show(record))),
      endpoint,
      offline: isOffline(),
      has_token: (await records.readHubToken(db, endpoint)) !== null,
    };
  }

  /** @throws CortexError download_offline, model_gated, hub_refused, hub_unreachable */
  async look({
    repository,
    revision,
  }: RouteRequest<Routes['lookAtHub']>['body']): Promise<RouteResponse<Routes['lookAtHub']>> {
    const model = await this.#resolve(repository, revision);
    const { revision: commit, licence } = model;
    const free_bytes = await this.#staging.freeBytes();
    return { repository, commit, licence, choices: hubChoices(model.files), free_bytes };
  }

  /** @throws CortexError download_offline, model_gated, hub_refused, hub_unreachable, not_found, conflict, folder_outside, disk_full */
  async start(wanted: RouteRequest<Routes['startDownload']>['body'], username: string): Promise<Download> {
    const { repository, revision, folder } = wanted;
    this.#checkOnline();
    await this.#checkFree(folder);
    this.#taken.add(folder);
    try {
      const model = await this.#resolve(repository, revision);
      const offered = new Map(model.files.filter(isWanted).map((file) => [file.path, file]));
      const files = [...new Set(wanted.paths)].map((path) => {
        const file = offered.get(path);
        if (file === undefined) throw new CortexError('not_found', { what: `file of ${repository}`, id: path });
        if (!hasHash(file)) throw refused(repository, `it tells no hash of ${path}`);
        return { path, sizeBytes: file.sizeBytes };
      });
      const neededBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      await checkSpace(this.#staging, folder, neededBytes);
      const licence = model.licence?.slice(0, licenceLength) ?? null;
      const fresh = { repository, commit: model.revision, licence, folder, files, username };
      const record = await records.insertDownload(this.#options.db, fresh);
      await this.#begin(record);
      return await this.#show(record);
    } finally {
      this.#taken.delete(folder);
    }
  }

  /** @throws CortexError not_found */
  async cancel(id: string): Promise<Download> {
    await this.#find(id);
    const running = this.#running.get(id);
    running?.run.cancel();
    await running?.ended;
    return this.#show(await this.#find(id));
  }

  /** @throws CortexError not_found, conflict, download_offline */
  async resume(id: string): Promise<Download> {
    this.#checkOnline();
    const record = await this.#find(id);
    if (record.state === 'done')
      throw new CortexError('conflict', { detail: `The download of ${record.repository} is done already.` });
    if (this.#running.has(id)) return this.#show(record);
    await this.#checkFree(record.folder);
    this.#taken.add(record.folder);
    try {
      const again = { ...record, state: 'downloading', error: null, ended_at: null } as const;
      await records.updateDownload(this.#options.db, id, again);
      await this.#begin(again);
      return await this.#show(again);
    } finally {
      this.#taken.delete(record.folder);
    }
  }

  /** @throws CortexError not_found */
  async delete(id: string): Promise<void> {
    await this.cancel(id);
    await this.#staging.remove(id);
    await records.deleteDownload(this.#options.db, id);
  }

  async setToken(token: string | null): Promise<void> {
    const { db, endpoint } = this.#options;
    // Sealed for this hub: after a change of HF_ENDPOINT it goes to no other.
    await records.writeHubToken(db, endpoint, token === null ? null : this.#seal.close(token, endpoint));
  }

  #offlineError(): CortexError {
    return new CortexError('download_offline', { endpoint: this.#options.endpoint });
  }

  #checkOnline(): void {
    if (this.#options.isOffline()) throw this.#offlineError();
  }

  async #find(id: string): Promise<records.DownloadRecord> {
    const found = (await records.listDownloads(this.#options.db)).find((record) => record.id === id);
    if (found === undefined) throw new CortexError('not_found', { what: 'download', id });
    return found;
  }

  async #checkFree(folder: string): Promise<void> {
    const under = (await records.listDownloads(this.#options.db)).some(
      (record) => record.folder === folder && this.#running.has(record.id),
    );
    if (under || this.#taken.has(folder))
      throw new CortexError('conflict', { detail: `A download into '${folder}' is under way.` }, { param: 'folder' });
    await this.#staging.checkPlace(folder);
  }

  async #hub(): Promise<Pick<HubOptions, 'endpoint' | 'token'>> {
    const { db, endpoint } = this.#options;
    const sealed = await records.readHubToken(db, endpoint);
    const token = sealed === null ? null : this.#seal.open(sealed, endpoint);
    return token === null ? { endpoint } : { endpoint, token };
  }

  async #resolve(repository: string, revision: string): Promise<HubModel> {
    this.#checkOnline();
    const hub = new HubClient(await this.#hub());
    try {
      return await hub.resolve(repository, revision);
    } catch (error) {
      throw inWords(error, repository);
    } finally {
      await hub.close();
    }
  }

  async #begin(record: records.DownloadRecord): Promise<void> {
    const run = new DownloadRun(record, await this.#hub(), this.#staging);
    const ended = run.done
      .then(
        () => this.#end(record, null),
        (error: unknown) => (this.#isClosing ? undefined : this.#end(record, error)),
      )
      .catch((error: unknown) => this.#options.logger.warn({ err: error }, 'The end of a download was not written'))
      .finally(() => this.#running.delete(record.id));
    this.#running.set(record.id, { run, ended });
  }

  async #end(record: records.DownloadRecord, error: unknown): Promise<void> {
    const ending = endingOf(inWords(error, record.repository));
    if (ending.state === 'failed')
      this.#options.logger.warn({ err: error, repository: record.repository }, 'A download failed');
    await records.updateDownload(this.#options.db, record.id, { ...ending, ended_at: new Date() });
  }

  async #show({ files, started_at, ended_at, ...record }: records.DownloadRecord): Promise<Download> {
    const progress = this.#running.get(record.id)?.run.progress();
    const shown = await Promise.all(
      files.map(async ({ path, sizeBytes }) => {
        const kept = record.state === 'done' ? sizeBytes : progress?.doneBytes.get(path);
        const done_bytes = kept ?? (await this.#staging.doneBytes(record.id, { path, sizeBytes }));
        return { path, size_bytes: sizeBytes, done_bytes };
      }),
    );
    const done_bytes = shown.reduce((sum, file) => sum + file.done_bytes, 0);
    const total_bytes = shown.reduce((sum, file) => sum + file.size_bytes, 0);
    const bytes_per_second = progress?.bytesPerSecond ?? null;
    return {
      ...record,
      started_at: started_at.toISOString(),
      ended_at: ended_at?.toISOString() ?? null,
      ...{ files: shown, done_bytes, total_bytes, bytes_per_second },
      seconds_left: bytes_per_second ? (total_bytes - done_bytes) / bytes_per_second : null,
    };
  }
}

/** The hub's refusal as the page's reader can act on it. */
function inWords(error: unknown, model: string): unknown {
  if (error instanceof CortexError && error.code === 'hub_refused' && /\(HTTP 40[13]\)/.test(error.message))
    return new CortexError('model_gated', { model }, { cause: error });
  return error;
}

function endingOf(error: unknown): Pick<records.DownloadRecord, 'state' | 'error'> {
  if (error === null) return { state: 'done', error: null };
  if (error instanceof CortexError && error.code === 'interrupted') return { state: 'cancelled', error: null };
  if (error instanceof CortexError) return { state: 'failed', error: { message: error.message, hint: error.hint } };
  const message = error instanceof Error ? error.message : String(error);
  return { state: 'failed', error: { message, hint: 'Go on with the download when the cause is away.' } };
}
