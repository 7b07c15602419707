export interface Diagnosis {
  readonly reason: string;
  readonly hint: string;
}

interface Rule extends Diagnosis {
  readonly pattern: RegExp;
}

// Texts of llama.cpp's and vLLM's own messages; the first rule that matches the newest line wins.
const rules: readonly Rule[] = [
  {
    pattern: /invalid (?:GGUF )?magic|bad magic|not a GGUF|failed to read magic/i,
    reason: 'the file is not a GGUF file, or it is damaged',
    hint: 'Copy the file from the medium again, then start the model.',
  },
  {
    pattern: /unknown model architecture: '?([\w.-]+)/i,
    reason: "this engine version does not know the model's architecture",
    hint: 'Bring a newer engine image: prepare a package with a newer LLAMACPP_TAG or VLLM_VERSION.',
  },
  {
    pattern:
      /tensor .*(?:out of bounds|not within file bounds)|file is (?:corrupted|incomplete)|failed to read.*tensor/i,
    reason: 'the model file is cut short',
    hint: 'Copy the file from the medium again; compare its size with the original.',
  },
  {
    pattern: /cuda.*out of memory|CUDA error: out of memory|OutOfMemoryError|cudaMalloc failed/i,
    reason: 'not enough GPU memory',
    hint: 'Use a smaller context or a smaller quantisation, or keep fewer layers on the GPU.',
  },
  {
    pattern: /failed to allocate|std::bad_alloc|Cannot allocate memory/i,
    reason: 'not enough memory',
    hint: 'Use a smaller context, a smaller model, or stop another model first.',
  },
  {
    pattern: /error: invalid argument: (\S+)|unrecognized arguments: (.+)/i,
    reason: 'the engine does not know one of its options',
    hint: 'The image is of another version than expected: make verify-offline compares them.',
  },
  {
    pattern: /No such file or directory|failed to open|FileNotFoundError/i,
    reason: 'a file of the model is missing',
    hint: "Look into the model's folder and copy what is missing.",
  },
  {
    pattern: /Permission denied|PermissionError/i,
    reason: "the engine may not read the model's files",
    hint: 'Make them readable: chmod -R a+rX FOLDER',
  },
  {
    pattern: /CUDA driver version is insufficient|driver\/library version mismatch/i,
    reason: 'the NVIDIA driver is too old for this image',
    hint: 'Update the driver of this machine, or bring an older engine image.',
  },
  {
    pattern: /no CUDA-capable device|Failed to infer device type|No CUDA GPUs are available/i,
    reason: 'no GPU was found',
    hint: 'vLLM needs a GPU with the NVIDIA container toolkit; a GGUF model runs on the CPU with llama.cpp.',
  },
  {
    pattern: /does not appear to have a file named config\.json|config\.json/i,
    reason: "config.json is missing or can't be read",
    hint: 'Copy the whole model folder, config.json and tokenizer included.',
  },
  {
    pattern: /address already in use|couldn't bind/i,
    reason: 'the engine could not open its port',
    hint: 'Stop the model and start it again.',
  },
];

const shownLength = 240;

/** Why an engine ended, told from the end of its log: a known cause with the line that shows it, or the last words. */
export function diagnose(
  lines: readonly string[],
  exit: { exitCode: number; oomKilled: boolean; error: string },
): Diagnosis {
  if (exit.oomKilled)
    return {
      reason: 'the system ended it: out of memory',
      hint: 'Use a smaller context or model, or stop another model first.',
    };
  for (const line of [...lines].reverse()) {
    const rule = rules.find(({ pattern }) => pattern.test(line));
    if (rule !== undefined) return { reason: `${rule.reason} (${line.trim().slice(0, shownLength)})`, hint: rule.hint };
  }
  const last = lines
    .findLast((line) => line.trim() !== '')
    ?.trim()
    .slice(0, shownLength);
  const words = exit.error || last;
  return {
    reason: `the engine ended with code ${exit.exitCode}${words ? `: ${words}` : ''}`,
    hint: 'The log below shows what it did last.',
  };
}
