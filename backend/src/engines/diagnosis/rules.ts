export interface Rule {
  readonly code: string;
  readonly pattern: RegExp;
  readonly reason: string;
  readonly hint: string;
  /** The hint with the numbers of the line; null where it has none. */
  readonly precise?: (found: RegExpExecArray) => string | null;
}

const bringNewerEngine = 'Bring a newer engine image: prepare a package with a newer LLAMACPP_TAG or VLLM_VERSION.';

/** Messages that name one cause. On a line that several match, the first counts. */
export const causes: readonly Rule[] = [
  {
    code: 'length-over-kv-cache',
    pattern:
      /larger than the (?:available KV cache memory.*?estimated maximum model length is (\d+)|maximum number of tokens that can be stored in KV cache \((\d+)\)|available KV cache memory)/i,
    reason: 'the GPU has no room for one request of the greatest length',
    hint: 'Set a smaller max_model_len, or give the model more of the GPU with gpu_memory_utilization.',
    precise: (found) => {
      const fits = found[1] ?? found[2];
      if (fits === undefined) return null;
      return `Set max_model_len to ${fits} or less, or give the model more of the GPU with gpu_memory_utilization.`;
    },
  },
  {
    code: 'no-kv-cache',
    pattern: /No available memory for the cache blocks/i,
    reason: 'the weights fill the GPU: nothing is left for the KV cache',
    hint: 'Raise gpu_memory_utilization, spread the model over more GPUs, or use a smaller quantisation.',
  },
  {
    code: 'gpu-memory-taken',
    pattern:
      /Free memory on device \S* ?\(([\d.]+)\/([\d.]+) GiB\) on startup is less than desired GPU memory utilization/i,
    reason: 'others use the GPU: less of its memory is free than this model may take',
    hint: 'Stop what else runs on the GPU, or set gpu_memory_utilization to the share that is free.',
    precise: (found) => {
      const share = Math.floor((Number(found[1]) / Number(found[2])) * 100) / 100;
      return `Stop what else runs on the GPU, or set gpu_memory_utilization to ${share} or less.`;
    },
  },
  {
    code: 'no-bfloat16',
    pattern: /Bfloat16 is only supported on GPUs/i,
    reason: 'this GPU can not compute in bfloat16',
    hint: 'Set dtype to float16.',
  },
  {
    code: 'quantisation-unsupported',
    pattern: /quantization method \S+ is not supported for the current GPU|Quantization scheme is not supported for/i,
    reason: "this GPU is too old for the model's quantisation",
    hint: 'Use the model in another quantisation, or run it on a newer GPU.',
  },
  {
    code: 'heads-not-divisible',
    pattern: /attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)/i,
    reason: "the model's attention heads can not be shared out evenly among so many GPUs",
    hint: "Set tensor_parallel_size to a number that divides the model's attention heads.",
    precise: (found) => `Set tensor_parallel_size to a number that divides ${found[1]}; ${found[2]} does not.`,
  },
  {
    code: 'own-code',
    pattern: /requires you to execute the configuration file|contains custom code which must be executed/i,
    reason: 'the model brings program code of its own, which the engine may not run',
    hint: "Read the Python files in the model's folder; if you trust them, turn trust_remote_code on.",
  },
  {
    code: 'asked-the-hub',
    pattern: /OfflineModeIsEnabled|outgoing traffic has been disabled|host='huggingface\.co'|Cannot access gated repo/i,
    reason: 'the engine looked for a file on the internet that the folder lacks',
    hint: "Copy the model's whole folder, tokenizer and configuration included.",
  },
  {
    code: 'unknown-architecture',
    pattern:
      /unknown model architecture: '?[\w.-]+|does not recognize this architecture|Model architectures .* are not supported/i,
    reason: "this engine version does not know the model's architecture",
    hint: bringNewerEngine,
  },
  {
    code: 'cache-needs-flash-attention',
    pattern: /V cache quantization requires flash_attn|quantized V cache was requested, but this requires Flash/i,
    reason: 'the values of the cache can be kept in few bits only with flash attention',
    hint: 'Turn flash attention on, or set cache_type_v to f16.',
  },
  {
    code: 'part-missing',
    pattern: /failed to load GGUF split from|No such file or directory: "?'?[^"']*-\d{5}-of-\d{5}\.safetensors/i,
    reason: "a part of the model's weights is missing",
    hint: 'Copy the whole model folder again: Add model shows which part it lacks.',
  },
  {
    code: 'tokenizer-missing',
    pattern: /Can't load tokenizer for|No tokenizer file found in directory/i,
    reason: 'the tokenizer is missing',
    hint: 'Copy the whole model folder, tokenizer.json or tokenizer.model included.',
  },
  {
    code: 'not-gguf',
    pattern: /invalid (?:GGUF )?magic|bad magic|not a GGUF|failed to read magic/i,
    reason: 'the file is not a GGUF file, or it is damaged',
    hint: 'Copy the file from the medium again, then start the model.',
  },
  {
    code: 'file-cut-short',
    pattern:
      /tensor .*(?:out of bounds|not within (?:the )?file bounds)|file is (?:corrupted|incomplete)|failed to read.*tensor|MetadataIncompleteBuffer|InvalidHeaderDeserialization/i,
    reason: 'the model file is cut short',
    hint: 'Copy the file from the medium again; compare its size with the original.',
  },
  {
    code: 'gpu-memory',
    pattern:
      /cuda.*out of memory|CUDA error: out of memory|OutOfMemoryError|cudaMalloc failed|unable to allocate CUDA\d+ buffer|failed to allocate CUDA\d+ buffer/i,
    reason: 'not enough GPU memory',
    hint: 'Use a smaller context or a smaller quantisation, or keep fewer layers on the GPU.',
  },
  {
    code: 'driver-too-old',
    pattern:
      /unsatisfied condition: (?:cuda|driver)|CUDA driver version is insufficient|driver\/library version mismatch/i,
    reason: 'the NVIDIA driver is too old for this image',
    hint: 'Update the driver of this machine, or bring an older engine image.',
  },
  {
    code: 'gpu-not-built-for',
    pattern: /no kernel image is available for execution on the device/i,
    reason: 'this engine image was not built for this GPU',
    hint: 'Bring an engine image that supports the GPU: a newer one for a new GPU, an older one for an old GPU.',
  },
  {
    code: 'no-gpu-runtime',
    pattern: /could not select device driver/i,
    reason: 'Docker can not give a GPU to a container',
    hint: 'Install the NVIDIA container toolkit, then: nvidia-ctk runtime configure && systemctl restart docker',
  },
  {
    code: 'no-gpu',
    pattern: /no CUDA-capable device|Failed to infer device type|No CUDA GPUs are available/i,
    reason: 'no GPU was found',
    hint: 'vLLM needs a GPU with the NVIDIA container toolkit; a GGUF model runs on the CPU with llama.cpp.',
  },
  {
    code: 'shared-memory',
    pattern: /shared memory segment \/dev\/shm|No space left on device.*\/dev\/shm|Bus error/i,
    reason: 'too little shared memory for the GPUs to work together',
    hint: 'Free memory on this machine, or use fewer GPUs for the model.',
  },
  {
    code: 'gpus-can-not-talk',
    pattern: /NCCL error/i,
    reason: 'the GPUs could not reach each other',
    hint: 'See with nvidia-smi topo -m how they are connected; try the model on one GPU.',
  },
  {
    code: 'unknown-option',
    pattern: /(?:error: invalid argument:|unrecognized arguments:) (.+)/i,
    reason: 'the engine does not know one of its options',
    hint: 'The image is of another version than expected: make verify-offline compares them.',
  },
  {
    code: 'wrong-platform',
    pattern: /exec format error/i,
    reason: 'the image was made for another kind of processor',
    hint: "Bring the engine image for this machine's processor: uname -m tells it.",
  },
  {
    code: 'disk-full',
    pattern: /No space left on device/i,
    reason: 'the disk is full',
    hint: 'Free some space: df -h and docker system df show where it went.',
  },
  {
    code: 'no-addresses',
    pattern: /non-overlapping IPv4 address pool|all predefined address pools have been fully subnetted/i,
    reason: 'Docker has no addresses left for one more network',
    hint: "docker network prune removes what nobody uses; else a VPN's route covers them, or /etc/docker/daemon.json needs default-address-pools.",
  },
  {
    code: 'no-configuration',
    pattern: /does not appear to have a file named config\.json/i,
    reason: "config.json is missing or can't be read",
    hint: 'Copy the whole model folder, config.json and tokenizer included.',
  },
  {
    code: 'port-in-use',
    pattern: /address already in use|couldn't bind/i,
    reason: 'the engine could not open its port',
    hint: 'Stop the model and start it again.',
  },
];

/** Messages that often follow from a cause: they count only where no cause was named. */
export const consequences: readonly Rule[] = [
  {
    code: 'memory',
    pattern: /failed to allocate|std::bad_alloc|Cannot allocate memory/i,
    reason: 'not enough memory',
    hint: 'Use a smaller context, a smaller model, or stop another model first.',
  },
  {
    code: 'gpus-can-not-talk',
    pattern: /ncclSystemError/i,
    reason: 'the GPUs could not reach each other',
    hint: 'See with nvidia-smi topo -m how they are connected; try the model on one GPU.',
  },
  {
    code: 'file-missing',
    pattern: /No such file or directory|failed to open|FileNotFoundError/i,
    reason: 'a file of the model is missing',
    hint: "Look into the model's folder and copy what is missing.",
  },
  {
    code: 'not-readable',
    pattern: /Permission denied|PermissionError/i,
    reason: "the engine may not read the model's files",
    hint: 'Make them readable: chmod -R a+rX FOLDER',
  },
  {
    code: 'no-configuration',
    pattern: /config\.json/i,
    reason: "config.json is missing or can't be read",
    hint: 'Copy the whole model folder, config.json and tokenizer included.',
  },
];
