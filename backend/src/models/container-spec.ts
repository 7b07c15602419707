import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { NewModel } from '../../../contract/models.ts';
import type { ContainerSpec } from '../../../docker/containers.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { type EngineFacts, versionInName } from '../engines/help.ts';
import { type Launch, modelMount } from '../engines/launch.ts';
import { llamacppLaunch } from '../engines/llamacpp.ts';
import { vllmLaunch } from '../engines/vllm.ts';
import { confinement, scratchVariables, secretsFolder } from './engine-room/confinement.ts';
import type { FolderGrant } from './engine-room/folder-grant.ts';

/** All that we make in Docker carries these, so it can be found, adopted and swept. */
export const labels = {
  managed: 'cortex.managed',
  model: 'cortex.model',
  replica: 'cortex.replica',
  engine: 'cortex.engine',
  spec: 'cortex.spec',
  network: 'cortex.network',
} as const;
export const managedLabel = `${labels.managed}=true`;

/** What the name of an image tells, where it has not been asked. */
export const factsOfName = (engine: NewModel['engine'], image: string): EngineFacts => ({
  version: versionInName(engine, image),
  flags: null,
});

/** The engine's command for a model. */
export const launchOf = (model: NewModel, facts: EngineFacts): Launch =>
  model.engine === 'llamacpp' ? llamacppLaunch(model, facts) : vllmLaunch(model, facts);

export interface SpecSettings {
  readonly image: string;
  /** The models folder as Docker's host sees it. */
  readonly modelsDirHost: string;
  readonly network: string;
  readonly gpus: boolean;
}

/** What only the machine tells, so that a wish is the same on each look. */
export interface Ground extends FolderGrant {
  readonly memoryBytes: number | null;
}

/** The container of a model: only its own folder, read-only; an internal network; no rights that an engine does not need. */
export function containerSpec(
  model: ModelRecord,
  replica: number,
  settings: SpecSettings,
  facts: EngineFacts | null = null,
  ground: Ground | null = null,
): ContainerSpec & { specHash: string } {
  const specHash = specHashOf(model, replica, settings);
  const launch = launchOf(model, facts ?? factsOfName(model.engine, settings.image));
  const spec = specOf(launch, model, replica, settings, ground);
  const marks = {
    [labels.managed]: 'true',
    [labels.model]: model.id,
    [labels.replica]: String(replica),
    [labels.engine]: model.engine,
    [labels.spec]: specHash,
    [labels.network]: settings.network,
  };
  return { ...spec, Labels: marks, specHash };
}

/** Of what is wanted, not of what an image told: a container that runs is compared without asking its image again. */
export function specHashOf(model: ModelRecord, replica: number, settings: SpecSettings): string {
  const launch = launchOf(model, factsOfName(model.engine, settings.image));
  const wanted = specOf(launch, model, replica, settings, null);
  return createHash('sha256').update(JSON.stringify(wanted)).digest('hex');
}

function specOf(
  launch: Launch,
  model: ModelRecord,
  replica: number,
  settings: SpecSettings,
  ground: Ground | null,
): ContainerSpec {
  const source = ground?.source ?? `${settings.modelsDirHost}/${model.folder}`;
  return {
    Image: settings.image,
    ...(ground === null ? {} : { User: ground.user }),
    ...(launch.entrypoint === null ? {} : { Entrypoint: launch.entrypoint }),
    Cmd: launch.command,
    Env: [...scratchVariables, ...launch.env],
    HostConfig: {
      ...confinement(model.engine, ground?.memoryBytes ?? null),
      Mounts: [
        { Type: 'bind', Source: source, Target: modelMount, ReadOnly: true },
        { Type: 'volume', Target: secretsFolder },
      ],
      NetworkMode: settings.network,
      ...(launch.sharedMemoryBytes === null ? {} : { ShmSize: launch.sharedMemoryBytes }),
      ...(settings.gpus ? deviceRequests(model, replica) : {}),
    },
  };
}

const nowhere: SpecSettings = { image: '', modelsDirHost: '', network: '', gpus: false };

/** Whether a container that was made for the one is not right for the other. */
export function needsNewContainer(before: ModelRecord, after: ModelRecord): boolean {
  const told = (model: ModelRecord) => {
    const launch = launchOf(model, { version: null, flags: null });
    const { Env = [], ...spec } = specOf(launch, model, 0, nowhere, null);
    // The database keeps variables in an order of its own.
    return { ...spec, Env: [...Env].sort() };
  };
  return !isDeepStrictEqual(told(before), told(after));
}

/** The GPUs that the model was given; all of them where nobody knows which there are. None is a model that keeps to the CPU. */
function deviceRequests(
  { gpus }: ModelRecord,
  replica: number,
): Pick<NonNullable<ContainerSpec['HostConfig']>, 'DeviceRequests'> {
  const nvidia = { Driver: 'nvidia', Capabilities: [['gpu']] };
  if (gpus === undefined) return { DeviceRequests: [{ ...nvidia, Count: -1 }] };
  const own = gpus.filter((share) => share.replica === replica).map(({ uuid }) => uuid);
  return own.length === 0 ? {} : { DeviceRequests: [{ ...nvidia, DeviceIDs: own }] };
}

/** The first replica has the model's own name. */
export const containerName = (modelId: string, replica: number): string =>
  replica === 0 ? `cortex-model-${modelId}` : `cortex-model-${modelId}-${replica}`;
