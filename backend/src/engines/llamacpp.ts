import type { LlamacppOptions, Task } from '../../../contract/models.ts';
import { compareVersions, writeOptions } from './command-line.ts';
import type { EngineFacts } from './help.ts';
import { apiKeyFile, enginePort, type Launch, modelMount, variables } from './launch.ts';
import { quietVariables } from './quiet.ts';

export interface LlamacppModel {
  readonly served_name: string;
  readonly task: Task;
  readonly file: string;
  readonly options: LlamacppOptions;
}

/**
 * It came with github.com/ggml-org/llama.cpp/pull/13804 of 2025-05-26, and builds without it refuse it: where the image can't
 * be asked, only those count that are surely later. This one is of 2025-06-20 (github.com/microsoft/winget-pkgs/pull/267239).
 */
const surelyWithOffline = 'b5712';

/** llama.cpp's own switch against downloads, where this build has it. */
function offlineFlag({ version, flags }: EngineFacts): readonly string[] {
  const known =
    flags === null ? version === null || compareVersions(version, surelyWithOffline) >= 0 : flags.has('--offline');
  return known ? ['--offline'] : [];
}

/** The command line of llama-server. The key goes by file: arguments and environment stand in `docker inspect`. */
export function llamacppLaunch(model: LlamacppModel, facts: EngineFacts): Launch {
  const { options } = model;
  const { words, issues } = writeOptions('llamacpp', options, facts, modelMount);
  const chat = options.jinja === null ? ['--jinja'] : [];
  return {
    entrypoint: null,
    command: [
      ...['--model', `${modelMount}/${model.file}`],
      ...['--alias', model.served_name],
      ...['--host', '0.0.0.0', '--port', String(enginePort.llamacpp)],
      ...['--api-key-file', apiKeyFile],
      ...words,
      ...(model.task === 'embed' ? ['--embeddings'] : chat),
      ...['--metrics', '--no-webui'],
      ...offlineFlag(facts),
    ],
    env: [...quietVariables, ...variables(options.extra_env)],
    sharedMemoryBytes: null,
    issues,
  };
}
