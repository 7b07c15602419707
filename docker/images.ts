import type { Readable } from 'node:stream';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { type Connection, refusal } from './connection.ts';
import { type EngineMessage, followMessages } from './stream.ts';

const inspected = z
  .object({
    Id: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    RepoDigests: z.array(z.string()).nullish(),
    Created: z.string().nullish(),
    Size: z.number(),
    Architecture: z.string(),
    Os: z.string(),
    RootFS: z.object({ Layers: z.array(z.string()).nullish() }).nullish(),
  })
  .transform((image) => ({
    /** The config's digest on the graphdriver store, the tagged manifest's or index's on the containerd store. */
    id: image.Id,
    repoTags: image.RepoTags ?? [],
    repoDigests: image.RepoDigests ?? [],
    created: image.Created ?? null,
    sizeBytes: image.Size,
    /** Diff IDs: the identity that is the same on both stores. */
    layers: image.RootFS?.Layers ?? [],
    architecture: image.Architecture,
    os: image.Os,
  }));
export type ImageDetails = z.infer<typeof inspected>;

const listed = z.array(
  z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullish() }).transform((image) => ({
    id: image.Id,
    repoTags: (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>'),
  })),
);

export class Images {
  readonly #connection: Connection;
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  inspect(reference: string, signal?: AbortSignal): Promise<ImageDetails | null> {
    return this.#connection.json(`/images/${encodePath(reference)}/json`, inspected, {
      action: `inspect ${reference}`,
      signal,
    });
  }

  /** Every image that has a name, and the others. */
  async list(): Promise<{ id: string; repoTags: string[] }[]> {
    return (await this.#connection.json('/images/json', listed, { action: 'list the images' })) ?? [];
  }

  /** The image as `docker save` writes it. A tar that ends early means that the Engine failed in the middle. */
  async save(reference: string, signal?: AbortSignal): Promise<Readable> {
    const action = `save ${reference}`;
    const { status, body } = await this.#connection.call('/images/get', {
      query: { names: reference },
      signal,
      action,
    });
    if (status !== 404) return body;
    await body.dump();
    throw new CortexError('docker_failed', { action, reason: 'there is no such image' });
  }

  /** Streams an archive into the Engine. @throws CortexError docker_failed also for errors told inside HTTP 200 */
  async load(
    archive: Readable,
    options: { onMessage?: (message: EngineMessage) => void; signal?: AbortSignal } = {},
  ): Promise<void> {
    const action = 'load the image archive';
    const { body } = await this.#connection.call('/images/load', {
      method: 'POST',
      query: { quiet: 0 },
      headers: { 'content-type': 'application/x-tar' },
      body: archive,
      signal: options.signal,
      action,
    });
    await followMessages(body, action, options.onMessage);
  }

  async pull(
    reference: string,
    options: { onMessage?: (message: EngineMessage) => void; signal?: AbortSignal } = {},
  ): Promise<void> {
    const action = `pull ${reference}`;
    const { status, body } = await this.#connection.call('/images/create', {
      method: 'POST',
      query: { fromImage: reference },
      signal: options.signal,
      action,
    });
    if (status === 404) throw refusal(action, status, await body.text());
    await followMessages(body, action, options.onMessage);
  }

  /**
   * Whether the image's registry answers the Engine: it is the Engine that would pull, with its own proxy and mirrors.
   * One that refuses or does not have the image answers all the same. @throws CortexError docker_unavailable
   */
  async askRegistry(reference: string, signal?: AbortSignal): Promise<{ answers: boolean; reason: string | null }> {
    const { status, reason } = await this.#connection.ask(`/distribution/${encodePath(reference)}/json`, {
      signal,
      action: `ask the registry of ${reference}`,
    });
    const answers = status < 500 || /^(?:toomanyrequests|unauthorized|denied)/.test(reason);
    return { answers, reason: answers ? null : reason };
  }

  async tag(source: string, repository: string, tag: string): Promise<void> {
    await this.#connection.run(`/images/${encodePath(source)}/tag`, {
      method: 'POST',
      query: { repo: repository, tag },
      action: `tag ${source}`,
    });
  }

  /** True if there was such an image. */
  async remove(reference: string, options: { force?: boolean } = {}): Promise<boolean> {
    return this.#connection.runIfThere(`/images/${encodePath(reference)}`, {
      method: 'DELETE',
      query: { force: options.force ?? false },
      action: `remove ${reference}`,
    });
  }
}

const encodePath = (reference: string) => reference.split('/').map(encodeURIComponent).join('/');
