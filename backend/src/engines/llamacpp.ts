import type { LlamacppOptions, Task } from '../../../contract/models.ts';
import { apiKeyFile, flag, type Launch, modelMount } from './launch.ts';

export interface LlamacppModel {
  readonly served_name: string;
  readonly task: Task;
  readonly file: string;
  readonly options: LlamacppOptions;
}

/** The command line of llama-server. The key goes by file: arguments and environment stand in `docker inspect`. */
export function llamacppLaunch(model: LlamacppModel): Launch {
  const { options } = model;
  return {
    entrypoint: null,
    command: [
      ...['--model', `${modelMount}/${model.file}`],
      ...['--alias', model.served_name],
      ...['--host', '0.0.0.0', '--port', '8080'],
      ...['--api-key-file', apiKeyFile],
      ...flag('--ctx-size', options.context_size),
      ...flag('--n-gpu-layers', options.gpu_layers),
      ...flag('--parallel', options.parallel),
      ...flag('--batch-size', options.batch_size),
      ...flag('--threads', options.threads),
      ...(model.task === 'embed' ? ['--embeddings'] : ['--jinja']),
      '--metrics',
      '--no-webui',
      '--offline',
    ],
    env: [],
    port: 8080,
    sharedMemoryBytes: null,
  };
}
