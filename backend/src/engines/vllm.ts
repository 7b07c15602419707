import type { Task, VllmOptions } from '../../../contract/models.ts';
import { compareVersions, writeOptions } from './command-line.ts';
import type { EngineFacts } from './help.ts';
import { apiKeyFile, enginePort, type Launch, modelMount, variables } from './launch.ts';
import { quietVariables } from './quiet.ts';

export interface VllmModel {
  readonly served_name: string;
  readonly task: Task;
  readonly options: VllmOptions;
}

const sharedMemoryBytes = 8 * 1024 ** 3;

/** 0.6.3 tells an embedding model by its architecture; later versions are told, first as a task, then as a runner. */
function embeddingFlags({ version, flags }: EngineFacts): readonly string[] {
  const since = (flag: string, first: string) =>
    flags === null ? version === null || compareVersions(version, first) >= 0 : flags.has(flag);
  if (since('--runner', '0.10.1')) return ['--runner', 'pooling'];
  return since('--task', '0.6.4') ? ['--task', 'embedding'] : [];
}

/** The command line of vLLM's API server. It reads its key from the environment only, so a shell fetches it from the file. */
export function vllmLaunch(model: VllmModel, facts: EngineFacts): Launch {
  const { words, issues } = writeOptions('vllm', model.options, facts, modelMount);
  return {
    entrypoint: [
      '/bin/sh',
      '-c',
      `VLLM_API_KEY="$(cat ${apiKeyFile})" exec python3 -m vllm.entrypoints.openai.api_server "$@"`,
      'vllm',
    ],
    command: [
      ...['--model', modelMount],
      ...['--served-model-name', model.served_name],
      ...['--host', '0.0.0.0', '--port', String(enginePort.vllm)],
      ...words,
      ...(model.task === 'embed' ? embeddingFlags(facts) : []),
    ],
    env: [...quietVariables, ...variables(model.options.extra_env)],
    sharedMemoryBytes,
    issues,
  };
}
