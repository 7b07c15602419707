import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CortexError } from '../../../contract/errors.ts';
import type { Engine } from '../../../contract/models.ts';
import type { ContainerSpec } from '../../../docker/containers.ts';
import type { DockerEngine } from '../../../docker/engine.ts';
import { type EngineFacts, flagsInHelp, llamacppVersion, versionInName } from '../engines/help.ts';
import { quietVariables } from '../engines/quiet.ts';
import { confinement, memoryLimit, scratchVariables } from './engine-room/confinement.ts';

/** Importing vLLM takes long on a cold disk. */
const deadlineMs = 180_000;
const lookMs = 100;
const longestHelpLines = 20_000;
const versionMark = 'cortex-version:';
const questionLabel = 'cortex.question';

/** Newer versions list only groups under --help, and all of it under --help=all, which older ones don't know. */
const vllmQuestion =
  `python3 -c "from importlib.metadata import version; print('${versionMark}', version('vllm'))"; ` +
  'python3 -m vllm.entrypoints.openai.api_server --help=all || python3 -m vllm.entrypoints.openai.api_server --help';

/**
 * Asks an image which version of its engine it holds and which flags that has, in containers that are cut off from
 * everything and removed afterwards. The answer is kept by the image's identity, so each image is asked once.
 */
export class EngineProbe {
  readonly #engine: DockerEngine;
  readonly #mark: string;
  readonly #answers = new Map<string, Promise<EngineFacts>>();
  #underWay = 0;

  /** @param owner tells the questions of one Cortex from those of another on the same Engine */
  constructor(engine: DockerEngine, owner: string) {
    this.#engine = engine;
    this.#mark = owner;
  }

  /** Removes what a killed Cortex left behind. @throws CortexError docker_unavailable, docker_failed */
  async sweep(): Promise<void> {
    const { containers } = this.#engine;
    const left = await containers.list({ labels: [`${questionLabel}=${this.#mark}`], all: true });
    for (const { id } of left) if (this.#underWay === 0) await containers.remove(id, { force: true });
  }

  /** What the image tells; without flags where it gives no usable answer. @throws CortexError docker_unavailable, docker_failed */
  async ask(engine: Engine, image: string): Promise<EngineFacts> {
    const details = await this.#engine.images.inspect(image);
    if (details === null) throw new CortexError('image_not_available', { image });
    const identity = `${engine} ${details.id}`;
    const kept = this.#answers.get(identity);
    if (kept !== undefined) return kept;
    const asked = engine === 'vllm' ? this.#askVllm(image) : this.#askLlamacpp(image);
    this.#answers.set(identity, asked);
    // A failure of the Engine says nothing about the image: it is asked again.
    asked.catch(() => this.#answers.delete(identity));
    return asked;
  }

  async #askVllm(image: string): Promise<EngineFacts> {
    const text = await this.#run('vllm', image, { Entrypoint: ['/bin/sh', '-c'], Cmd: [vllmQuestion] });
    const said = new RegExp(`^${versionMark} (\\S+)`, 'm').exec(text)?.[1];
    return { version: said ?? versionInName('vllm', image), flags: usable(flagsInHelp(text), '--max-model-len') };
  }

  async #askLlamacpp(image: string): Promise<EngineFacts> {
    const said = llamacppVersion(await this.#run('llamacpp', image, { Cmd: ['--version'] }));
    const flags = flagsInHelp(await this.#run('llamacpp', image, { Cmd: ['--help'] }));
    return { version: said ?? versionInName('llamacpp', image), flags: usable(flags, '--ctx-size') };
  }

  /** Everything that a container of the image writes until it ends. */
  async #run(engine: Engine, image: string, command: Pick<ContainerSpec, 'Entrypoint' | 'Cmd'>): Promise<string> {
    this.#underWay += 1;
    try {
      return await this.#outputOf(engine, image, command);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #outputOf(engine: Engine, image: string, command: Pick<ContainerSpec, 'Entrypoint' | 'Cmd'>): Promise<string> {
    const { containers } = this.#engine;
    const { runtimes, memoryBytes } = await this.#engine.info();
    const gpus = runtimes.includes('nvidia');
    const hash = createHash('sha256')
      .update(JSON.stringify([this.#mark, image, command]))
      .digest('hex')
      .slice(0, 16);
    const name = `cortex-question-${hash}`;
    // One that a killed Cortex left behind.
    const left = await containers.inspect(name);
    if (left !== null) await containers.remove(left.id, { force: true });
    const id = await containers.create(name, {
      Image: image,
      ...command,
      Env: [...scratchVariables, ...quietVariables, 'COLUMNS=160'],
      Labels: { [questionLabel]: this.#mark },
      HostConfig: {
        ...confinement(engine, memoryLimit(memoryBytes)),
        NetworkMode: 'none',
        LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '1' } },
        // Some versions of vLLM look for their device before they print the help.
        ...(gpus ? { DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }] } : {}),
      },
    });
    try {
      await containers.start(id);
      const deadline = Date.now() + deadlineMs;
      while ((await containers.inspect(id))?.status === 'running' && Date.now() < deadline) await sleep(lookMs);
      const lines: string[] = [];
      for await (const line of containers.logs(id, { tail: longestHelpLines })) lines.push(line);
      return lines.join('\n');
    } finally {
      await containers.remove(id, { force: true });
    }
  }
}

/** A help without the one flag that every version has is none. */
const usable = (flags: ReadonlyMap<string, boolean>, sure: string): ReadonlyMap<string, boolean> | null =>
  flags.has(sure) ? flags : null;
