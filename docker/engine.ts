import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { Connection } from './connection.ts';
import { Containers } from './containers.ts';
import { Images } from './images.ts';
import { readLines } from './stream.ts';

export type { ContainerDetails } from './containers.ts';
export type { ImageDetails } from './images.ts';

export const defaultHost = 'unix:///var/run/docker.sock';

const version = z
  .object({
    Version: z.string(),
    ApiVersion: z.string(),
    Os: z.string(),
    Arch: z.string(),
    Components: z.array(z.object({ Name: z.string() })).nullish(),
  })
  .transform((v) => ({
    version: v.Version,
    apiVersion: v.ApiVersion,
    os: v.Os,
    arch: v.Arch,
    isPodman: (v.Components ?? []).some(({ Name }) => Name.startsWith('Podman')),
  }));
export type EngineVersion = z.infer<typeof version>;

const info = z
  .object({
    DriverStatus: z.array(z.array(z.string())).nullish(),
    DockerRootDir: z.string(),
    ServerVersion: z.string(),
    Architecture: z.string(),
    MemTotal: z.number(),
    Runtimes: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform((i) => ({
    // airgap-field.md 4a: the containerd store shows itself in DriverStatus only.
    imageStore: (i.DriverStatus ?? []).flat().includes('io.containerd.snapshotter.v1')
      ? ('containerd' as const)
      : ('graphdriver' as const),
    dockerRootDir: i.DockerRootDir,
    serverVersion: i.ServerVersion,
    architecture: i.Architecture,
    memoryBytes: i.MemTotal,
    runtimes: Object.keys(i.Runtimes ?? {}),
  }));
export type EngineInfo = z.infer<typeof info>;

const event = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()).nullish() }),
});
export type EngineEvent = z.infer<typeof event>;

/**
 * A Docker Engine. Every method throws CortexError: docker_unavailable where none answers, docker_failed where it refuses.
 */
export class DockerEngine {
  readonly images: Images;
  readonly containers: Containers;
  readonly #connection: Connection;

  constructor(options: { host?: string | undefined } = {}) {
    this.#connection = new Connection(options.host === undefined || options.host === '' ? defaultHost : options.host);
    this.images = new Images(this.#connection);
    this.containers = new Containers(this.#connection);
  }

  get address(): string {
    return this.#connection.address;
  }

  async version(): Promise<EngineVersion> {
    return this.#need(await this.#connection.json('/version', version, { action: 'tell its version' }));
  }

  async info(): Promise<EngineInfo> {
    return this.#need(await this.#connection.json('/info', info, { action: 'describe itself' }));
  }

  /**
   * Creates a bridge network where there is none of that name. An internal one has no way out of the machine; one without
   * the host's address has none to the machine either, and the machine none into it.
   */
  async ensureNetwork(
    name: string,
    options: { internal: boolean; hostAddress?: boolean; labels?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const action = `create the network ${name}`;
    if (await this.#connection.runIfThere(`/networks/${encodeURIComponent(name)}`, { action })) return;
    await this.#connection.run('/networks/create', {
      method: 'POST',
      json: {
        Name: name,
        Driver: 'bridge',
        Internal: options.internal,
        EnableIPv6: false,
        Options: options.hostAddress === false ? { 'com.docker.network.bridge.inhibit_ipv4': 'true' } : {},
        CheckDuplicate: true,
        Labels: options.labels ?? {},
      },
      action,
    });
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#connection.runIfThere(`/networks/${encodeURIComponent(name)}`, {
      method: 'DELETE',
      action: `remove the network ${name}`,
    });
  }

  async connectNetwork(network: string, container: string): Promise<void> {
    await this.#connection.run(`/networks/${encodeURIComponent(network)}/connect`, {
      method: 'POST',
      json: { Container: container },
      action: `connect to the network ${network}`,
    });
  }

  /** What happens to containers with these labels, from now on, until the signal or the Engine ends it. */
  async *events(options: { labels: readonly string[]; signal: AbortSignal }): AsyncGenerator<EngineEvent> {
    const filters = JSON.stringify({ type: ['container'], label: options.labels });
    const { body } = await this.#connection.call('/events', {
      query: { filters },
      signal: options.signal,
      action: 'tell events',
    });
    for await (const line of readLines(body)) {
      if (line.trim() !== '') yield event.parse(JSON.parse(line));
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  #need<T>(value: T | null): T {
    if (value === null)
      throw new CortexError('docker_unavailable', {
        address: this.address,
        reason: 'something else than a Docker Engine answers there',
      });
    return value;
  }
}
