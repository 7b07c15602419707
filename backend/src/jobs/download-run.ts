import { join } from 'node:path';
import { CortexError } from '../../../contract/errors.ts';
import { HubClient, type HubFile, type HubOptions } from '../../../offline/hub.ts';
import { writeModelSource } from '../../../offline/model-source.ts';
import type { DownloadRecord } from '../db/download-records.ts';
import type { Staging } from './staging.ts';
import { TransferRate } from './transfer-rate.ts';

export interface Progress {
  readonly doneBytes: ReadonlyMap<string, number>;
  readonly bytesPerSecond: number | null;
}

/** One download under way: file after file, into the staging folder, and in the end to its place. */
export class DownloadRun {
  readonly done: Promise<void>;
  readonly #stop = new AbortController();
  readonly #doneBytes = new Map<string, number>();
  readonly #rate = new TransferRate(Date.now());

  constructor(record: DownloadRecord, hub: Pick<HubOptions, 'endpoint' | 'token'>, staging: Staging) {
    this.done = this.#run(record, hub, staging);
  }

  cancel(): void {
    this.#stop.abort();
  }

  progress(): Progress {
    return { doneBytes: this.#doneBytes, bytesPerSecond: this.#rate.read(Date.now()) };
  }

  async #run(record: DownloadRecord, options: Pick<HubOptions, 'endpoint' | 'token'>, staging: Staging) {
    const hub = new HubClient({ ...options, signal: this.#stop.signal });
    try {
      let lackingBytes = 0;
      for (const file of record.files) {
        const doneBytes = await staging.doneBytes(record.id, file);
        this.#doneBytes.set(file.path, doneBytes);
        lackingBytes += file.sizeBytes - doneBytes;
      }
      await checkSpace(staging, staging.folderOf(record.id), lackingBytes);
      const model = await hub.resolve(record.repository, record.commit);
      const offered = new Map(model.files.map((file) => [file.path, file]));
      for (const { path, sizeBytes } of record.files) {
        const file = offered.get(path);
        if (model.revision !== record.commit || file?.sizeBytes !== sizeBytes || !hasHash(file))
          throw refused(record.repository, `${path} of commit ${record.commit} is not what it was`);
        if (await staging.isWhole(record.id, file)) continue;
        await this.#fetch(hub, model, file, join(staging.folderOf(record.id), path));
      }
      const { repository, commit, licence } = record;
      const source = { source: `hf:${repository}`, revision: commit, licence };
      await writeModelSource(staging.folderOf(record.id), source);
      if (this.#stop.signal.aborted) throw new CortexError('interrupted', {});
      await staging.publish(record.id, record.folder);
    } finally {
      await hub.close();
    }
  }

  async #fetch(hub: HubClient, model: Parameters<HubClient['download']>[0], file: HubFile, target: string) {
    const already = this.#doneBytes.get(file.path) ?? 0;
    let heard = 0;
    await hub.download(model, file, target, (bytes) => {
      heard += bytes;
      // What lay on the disk is told first, and is no speed of the network.
      if (heard > already) this.#rate.add(bytes, Date.now());
      this.#doneBytes.set(file.path, Math.min(file.sizeBytes, Math.max(already, heard)));
    });
    this.#doneBytes.set(file.path, file.sizeBytes);
  }
}

/** A file without one could be anything. */
export const hasHash = ({ sha256, gitBlobId }: HubFile): boolean => sha256 !== null || gitBlobId !== null;

export const refused = (model: string, reason: string): CortexError =>
  new CortexError('hub_refused', { model, status: 200, reason });

/** @throws CortexError disk_full */
export async function checkSpace(staging: Staging, path: string, neededBytes: number): Promise<void> {
  const freeBytes = await staging.freeBytes();
  if (neededBytes > freeBytes) throw new CortexError('disk_full', { path, neededBytes, freeBytes });
}
