/** What an engine's log says of how far its start is. */
interface Stage {
  readonly pattern: RegExp;
  readonly say: (found: RegExpExecArray) => string;
}

// vLLM's progress bars (tqdm) and log lines, llama.cpp's server log.
const stages: readonly Stage[] = [
  {
    pattern: /Loading (?:safetensors|pt|bin) checkpoint shards:\s*(\d+)% Completed \| (\d+\/\d+)/,
    say: ([, percent, parts]) => `reading the weights: ${percent} %, ${parts} parts`,
  },
  { pattern: /Capturing CUDA graphs?[^:]*:\s*(\d+)%/, say: ([, percent]) => `capturing CUDA graphs: ${percent} %` },
  { pattern: /Starting to load model/, say: () => 'reading the weights' },
  { pattern: /torch\.compile takes|Compiling a graph/, say: () => 'compiling' },
  { pattern: /Memory profiling|Available KV cache memory|GPU KV cache size/, say: () => 'measuring its memory' },
  { pattern: /load_tensors: loading model tensors/, say: () => 'reading the weights' },
  { pattern: /warming up the model/, say: () => 'warming up' },
];

/** The newest thing that a log tells of the start; null where it tells nothing of it. */
export function loadingProgress(lines: readonly string[]): string | null {
  for (const line of [...lines].reverse())
    for (const { pattern, say } of stages) {
      const found = pattern.exec(line);
      if (found !== null) return say(found);
    }
  return null;
}
