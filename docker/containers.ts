import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import type { Connection } from './connection.ts';
import { readLogLines } from './stream.ts';

type Mount =
  | { readonly Type: 'bind'; readonly Source: string; readonly Target: string; readonly ReadOnly: boolean }
  /** A volume without a name: it goes with its container. */
  | { readonly Type: 'volume'; readonly Target: string };

/** The part of the Engine's container specification that we use (API 1.41). */
export interface ContainerSpec {
  readonly Image: string;
  /** `uid:gid` */
  readonly User?: string;
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
  readonly HostConfig?: {
    readonly Mounts?: readonly Mount[];
    /** Options by path, in the words of `mount`. */
    readonly Tmpfs?: Readonly<Record<string, string>>;
    readonly NetworkMode?: string;
    /** Where names are asked that Docker does not know. */
    readonly Dns?: readonly string[];
    readonly Privileged?: false;
    readonly CapDrop?: readonly string[];
    readonly SecurityOpt?: readonly string[];
    readonly ReadonlyRootfs?: boolean;
    readonly IpcMode?: 'private';
    readonly CgroupnsMode?: 'private';
    readonly PidsLimit?: number;
    /** Bytes. */
    readonly Memory?: number;
    /** Bytes of memory and swap together. */
    readonly MemorySwap?: number;
    readonly OomScoreAdj?: number;
    readonly ShmSize?: number;
    readonly LogConfig?: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
    readonly RestartPolicy?: { readonly Name: string };
    readonly DeviceRequests?: readonly {
      readonly Driver: string;
      /** Either so many, -1 for all, or these. */
      readonly Count?: number;
      readonly DeviceIDs?: readonly string[];
      readonly Capabilities: readonly (readonly string[])[];
    }[];
  };
}

const networks = z.record(z.string(), z.object({ IPAddress: z.string() })).nullish();
const addressesIn = (found: z.infer<typeof networks>): Record<string, string> =>
  Object.fromEntries(Object.entries(found ?? {}).map(([name, network]) => [name, network.IPAddress]));

const inspected = z
  .object({
    Id: z.string(),
    Name: z.string(),
    Image: z.string(),
    Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }),
    State: z.object({
      Status: z.string(),
      ExitCode: z.number(),
      OOMKilled: z.boolean().nullish(),
      Error: z.string().nullish(),
      StartedAt: z.string(),
    }),
    Mounts: z.array(z.object({ Source: z.string(), Destination: z.string(), RW: z.boolean() })).nullish(),
    NetworkSettings: z.object({ Networks: networks }),
  })
  .transform((container) => ({
    id: container.Id,
    name: container.Name.replace(/^\//, ''),
    labels: container.Config.Labels ?? {},
    /** By its content: sha256:… */
    image: container.Image,
    /** created, running, exited, dead … */
    status: container.State.Status,
    exitCode: container.State.ExitCode,
    oomKilled: container.State.OOMKilled ?? false,
    error: container.State.Error ?? '',
    startedAt: container.State.StartedAt,
    mounts: (container.Mounts ?? []).map((mount) => ({
      source: mount.Source,
      target: mount.Destination,
      writable: mount.RW,
    })),
    addresses: addressesIn(container.NetworkSettings.Networks),
  }));
export type ContainerDetails = z.infer<typeof inspected>;

const listed = z.array(
  z
    .object({
      Id: z.string(),
      Created: z.number(),
      State: z.string(),
      Labels: z.record(z.string(), z.string()).nullish(),
      NetworkSettings: z.object({ Networks: networks }).nullish(),
    })
    .transform((container) => ({
      id: container.Id,
      /** Milliseconds since 1970, by the Engine's clock. */
      createdAtMs: container.Created * 1000,
      status: container.State,
      labels: container.Labels ?? {},
      addresses: addressesIn(container.NetworkSettings?.Networks),
    })),
);
export type ListedContainer = z.infer<typeof listed>[number];

export class Containers {
  readonly #connection: Connection;
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Gives the new container's id. */
  async create(name: string, spec: ContainerSpec): Promise<string> {
    const action = `create the container ${name}`;
    const created = await this.#connection.json('/containers/create', z.object({ Id: z.string() }), {
      method: 'POST',
      query: { name },
      json: spec,
      action,
    });
    if (created === null) throw new CortexError('docker_failed', { action, reason: `there is no image ${spec.Image}` });
    return created.Id;
  }

  async start(id: string): Promise<void> {
    await this.#connection.run(`/containers/${id}/start`, { method: 'POST', action: `start the container ${id}` });
  }

  /** Does nothing where it has stopped or is gone. */
  async stop(id: string, options: { timeoutSeconds: number }): Promise<void> {
    await this.#connection.runIfThere(`/containers/${id}/stop`, {
      method: 'POST',
      query: { t: options.timeoutSeconds },
      action: `stop the container ${id}`,
    });
  }

  /** Does nothing where it is gone. */
  async remove(id: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#connection.runIfThere(`/containers/${id}`, {
      method: 'DELETE',
      query: { force: options.force ?? false, v: true },
      action: `remove the container ${id}`,
    });
  }

  inspect(id: string): Promise<ContainerDetails | null> {
    return this.#connection.json(`/containers/${encodeURIComponent(id)}/json`, inspected, {
      action: `inspect the container ${id}`,
    });
  }

  async list(options: { labels?: readonly string[]; all?: boolean }): Promise<ListedContainer[]> {
    const filters = JSON.stringify({ label: options.labels ?? [] });
    return (
      (await this.#connection.json('/containers/json', listed, {
        query: { all: options.all ?? false, filters },
        action: 'list containers',
      })) ?? []
    );
  }

  /** Lines of stdout and stderr, oldest first. Nothing where the container is gone. */
  async *logs(id: string, options: { tail: number; follow?: boolean; signal?: AbortSignal }): AsyncGenerator<string> {
    const { status, body } = await this.#connection.call(`/containers/${id}/logs`, {
      query: { stdout: true, stderr: true, tail: options.tail, follow: options.follow ?? false },
      signal: options.signal,
      action: `read the log of ${id}`,
    });
    if (status === 404) {
      await body.dump();
      return;
    }
    yield* readLogLines(body);
  }

  /** Unpacks a tar into a folder of a container that was created; so a secret needs no environment variable. */
  async putArchive(id: string, path: string, tar: Buffer): Promise<void> {
    await this.#connection.run(`/containers/${id}/archive`, {
      method: 'PUT',
      query: { path },
      headers: { 'content-type': 'application/x-tar' },
      body: tar,
      action: `copy a file into ${id}`,
    });
  }
}
