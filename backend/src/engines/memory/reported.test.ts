import { describe, expect, it } from 'vitest';
import { GiB, MiB } from './layout.ts';
import { reportedMemory } from './reported.ts';

const gib = (value: number) => Math.round(value * GiB);
const mib = (value: number) => Math.round(value * MiB);

describe("vLLM's lines", () => {
  it('of 0.6.3 tell weights and blocks', () => {
    const lines = [
      'INFO 10-17 09:12:04 model_runner.py:1071] Loading model weights took 14.9888 GB',
      'INFO 10-17 09:12:08 gpu_executor.py:122] # GPU blocks: 27896, # CPU blocks: 2048',
      'INFO 10-17 09:12:31 model_runner.py:1523] Graph capturing finished in 13 secs.',
    ];
    expect(reportedMemory('vllm', lines)).toMatchObject({
      weights: gib(14.9888),
      cache_tokens: 446_336,
      graphs: null,
      kv_cache: null,
    });
  });

  it('of 0.7 tell every part in one line', () => {
    const lines = [
      'INFO 05-30 16:23:28 worker.py:267] the current vLLM instance can use total_gpu_memory (14.56GiB) x gpu_memory_utilization (0.50) = 7.28GiB',
      'INFO 05-30 16:23:28 worker.py:267] model weights take 2.89GiB; non_torch_memory takes 0.01GiB; PyTorch activation peak memory takes 2.02GiB; the rest of the memory reserved for KV Cache is 2.36GiB.',
      'INFO 05-30 16:23:28 executor_base.py:110] # CUDA blocks: 5519, # CPU blocks: 9362',
      'INFO 05-30 16:24:18 model_runner.py:1562] Graph capturing finished in 43 secs, took 0.17 GiB',
    ];
    expect(reportedMemory('vllm', lines)).toEqual({
      weights: gib(2.89),
      runtime: gib(0.01),
      activations: gib(2.02),
      kv_cache: gib(2.36),
      graphs: gib(0.17),
      cache_tokens: 88_304,
    });
  });

  it('of the second engine tell the same in lines of their own', () => {
    const lines = [
      '(EngineCore_DP0 pid=3021) INFO 09-23 18:12:20 [gpu_model_runner.py:2370] Model loading took 14.0800 GiB and 5.31 seconds',
      '(EngineCore_DP0 pid=3021) INFO 09-23 18:12:33 [gpu_worker.py:298] Available KV cache memory: 55.15 GiB',
      '(EngineCore_DP0 pid=3021) INFO 09-23 18:12:34 [kv_cache_utils.py:864] GPU KV cache size: 451,744 tokens',
      '(EngineCore_DP0 pid=3021) INFO 09-23 18:12:39 [gpu_model_runner.py:3118] Graph capturing finished in 5 secs, took 0.67 GiB',
      '(EngineCore_DP0 pid=3021) INFO 09-23 18:12:39 [gpu_worker.py:391] Free memory on device (78.66/79.19 GiB) on startup. Desired GPU memory utilization is (0.9, 71.27 GiB). Actual usage is 14.08 GiB for weight, 1.97 GiB for peak activation, 0.07 GiB for non-torch memory, and 0.67 GiB for CUDAGraph memory.',
    ];
    expect(reportedMemory('vllm', lines)).toEqual({
      weights: gib(14.08),
      runtime: gib(0.07),
      activations: gib(1.97),
      kv_cache: gib(55.15),
      graphs: gib(0.67),
      cache_tokens: 451_744,
    });
  });

  it('of several GPUs are added up', () => {
    const lines = [
      '(Worker_TP0 pid=134) INFO 07-06 12:22:50 [gpu_model_runner.py:5255] Model loading took 14.68 GiB memory and 5.290466 seconds',
      '(Worker_TP1 pid=139) INFO 07-06 12:22:50 [gpu_model_runner.py:5255] Model loading took 14.68 GiB memory and 5.301 seconds',
    ];
    expect(reportedMemory('vllm', lines)?.weights).toBe(gib(29.36));
  });
});

describe("llama.cpp's lines", () => {
  it('tell the buffers of each device', () => {
    const lines = [
      'llm_load_print_meta: model size       = 4.58 GiB (4.89 BPW)',
      'llm_load_tensors:          CPU model buffer size =   281.81 MiB',
      'llm_load_tensors:        CUDA0 model buffer size =  4403.49 MiB',
      'llama_new_context_with_model: n_ctx         = 8192',
      'llama_kv_cache_init:      CUDA0 KV buffer size =  1024.00 MiB',
      'llama_new_context_with_model: KV self size  = 1024.00 MiB, K (f16):  512.00 MiB, V (f16):  512.00 MiB',
      'llama_new_context_with_model:  CUDA_Host  output buffer size =     2.02 MiB',
      'llama_new_context_with_model:      CUDA0 compute buffer size =   560.00 MiB',
      'llama_new_context_with_model:  CUDA_Host compute buffer size =    24.01 MiB',
    ];
    expect(reportedMemory('llamacpp', lines)).toEqual({
      weights: mib(4685.3),
      kv_cache: mib(1024),
      activations: mib(586.03),
      graphs: null,
      runtime: null,
      cache_tokens: 8192,
    });
  });

  it('of newer builds add windows and states, count a graph once, and pass over the first, empty measurement', () => {
    const lines = [
      '0.01.1 I load_tensors: CUDA0 model buffer size = 0.00 MiB',
      '0.01.2 I llama_kv_cache: CUDA0 KV buffer size = 0.00 MiB',
      '0.03.1 I load_tensors: CPU_Mapped model buffer size = 682.03 MiB',
      '0.03.1 I load_tensors: CUDA0 model buffer size = 15339.44 MiB',
      '0.03.2 I llama_context: n_ctx = 32768',
      '0.03.3 I llama_kv_cache: CUDA0 KV buffer size = 2048.00 MiB',
      '0.03.3 I llama_kv_cache: size = 2048.00 MiB (32768 cells, 16 layers, 1/1 seqs), K (f16): 1024 MiB, V (f16): 1024 MiB',
      '0.03.4 I llama_memory_recurrent: CUDA0 RS buffer size = 598.50 MiB',
      '0.03.5 I sched_reserve: CUDA0 compute buffer size = 154.02 MiB',
      '0.03.5 I sched_reserve: CUDA0 compute buffer size = 154.02 MiB',
    ];
    expect(reportedMemory('llamacpp', lines)).toMatchObject({
      weights: mib(16_021.47),
      kv_cache: mib(2646.5),
      activations: mib(154.02),
      cache_tokens: 32_768,
    });
  });

  it('of a build from before buffers were named are read as well', () => {
    const lines = [
      'llm_load_tensors:        CPU buffer size =   250.00 MiB',
      'llm_load_tensors:      CUDA0 buffer size = 12603.02 MiB',
    ];
    expect(reportedMemory('llamacpp', lines)?.weights).toBe(mib(12_853.02));
  });

  it('that tell nothing are no report', () => {
    expect(reportedMemory('llamacpp', ['main: server is listening on http://0.0.0.0:8080'])).toBeNull();
    expect(reportedMemory('vllm', [])).toBeNull();
  });
});
