import { createHash } from 'node:crypto';
import type { NewModel } from '../../../contract/models.ts';
import type { ContainerSpec } from '../../../docker/containers.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { type Launch, modelMount } from '../engines/launch.ts';
import { llamacppLaunch } from '../engines/llamacpp.ts';
import { vllmLaunch } from '../engines/vllm.ts';

/** All that we make in Docker carries these, so it can be found, adopted and swept. */
export const labels = {
  managed: 'cortex.managed',
  model: 'cortex.model',
  engine: 'cortex.engine',
  spec: 'cortex.spec',
  network: 'cortex.network',
} as const;
export const managedLabel = `${labels.managed}=true`;

/** The engine's command for a model. */
export const launchOf = (model: NewModel): Launch =>
  model.engine === 'llamacpp' ? llamacppLaunch(model) : vllmLaunch(model);

export interface SpecSettings {
  readonly image: string;
  /** The models folder as Docker's host sees it. */
  readonly modelsDirHost: string;
  readonly network: string;
  readonly gpus: boolean;
}

/** The container of a model: only its own folder, read-only; an internal network; no rights that an engine does not need. */
export function containerSpec(model: ModelRecord, settings: SpecSettings): ContainerSpec & { specHash: string } {
  const launch = launchOf(model);
  const spec: ContainerSpec = {
    Image: settings.image,
    ...(launch.entrypoint === null ? {} : { Entrypoint: launch.entrypoint }),
    Cmd: launch.command,
    Env: launch.env,
    HostConfig: {
      Mounts: [
        { Type: 'bind', Source: `${settings.modelsDirHost}/${model.folder}`, Target: modelMount, ReadOnly: true },
      ],
      NetworkMode: settings.network,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: 4096,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
      // Cortex restarts engines itself: Docker's own restarts would hide the failure that it has to explain.
      RestartPolicy: { Name: 'no' },
      ...(launch.sharedMemoryBytes === null ? {} : { ShmSize: launch.sharedMemoryBytes }),
      ...(settings.gpus ? { DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }] } : {}),
    },
  };
  const specHash = createHash('sha256').update(JSON.stringify(spec)).digest('hex');
  const marks = {
    [labels.managed]: 'true',
    [labels.model]: model.id,
    [labels.engine]: model.engine,
    [labels.spec]: specHash,
    [labels.network]: settings.network,
  };
  return { ...spec, Labels: marks, specHash };
}

export const containerName = (modelId: string): string => `cortex-model-${modelId}`;
