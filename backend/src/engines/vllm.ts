import type { Task, VllmOptions } from '../../../contract/models.ts';
import { apiKeyFile, flag, type Launch, modelMount } from './launch.ts';

export interface VllmModel {
  readonly served_name: string;
  readonly task: Task;
  readonly options: VllmOptions;
}

const sharedMemoryBytes = 8 * 1024 ** 3;

/** The command line of vLLM's API server. It reads its key from the environment only, so a shell fetches it from the file. */
export function vllmLaunch(model: VllmModel): Launch {
  const { options } = model;
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
      ...['--host', '0.0.0.0', '--port', '8000'],
      ...flag('--max-model-len', options.max_model_len),
      ...flag('--gpu-memory-utilization', options.gpu_memory_utilization),
      ...flag('--tensor-parallel-size', options.tensor_parallel_size),
      ...flag('--max-num-seqs', options.max_num_seqs),
      ...flag('--dtype', options.dtype),
      ...(model.task === 'embed' ? ['--task', 'embedding'] : []),
    ],
    // Nothing may try to leave: the hub, and vLLM's usage statistics, which are on by default.
    env: ['HF_HUB_OFFLINE=1', 'TRANSFORMERS_OFFLINE=1', 'VLLM_NO_USAGE_STATS=1', 'DO_NOT_TRACK=1'],
    port: 8000,
    sharedMemoryBytes,
  };
}
