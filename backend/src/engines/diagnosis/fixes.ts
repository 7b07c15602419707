import type { Fix } from '../../../../contract/diagnosis.ts';
import { optionTables } from '../../../../contract/engine-options/tables.ts';
import type { NewModel } from '../../../../contract/models.ts';
import { type LlamacppMemoryOptions, memoryModel, type VllmMemoryOptions } from '../memory/options.ts';

/** The model that failed, as far as its fixes depend on it. */
export type Subject = Pick<NewModel, 'engine' | 'options'>;

/** What a line says besides its words: the groups of the rule that matched it. */
type Found = readonly (string | undefined)[];
type Fixes<Options> = (options: Options, found: Found) => readonly (Fix | null)[];

const mostShare = 0.95;
/** vLLM's own; newer versions take a little more. */
const usualShare = 0.9;
const fewRequests = 32;
const modestContext = 4096;
const leastContext = 512;

type Vllm = VllmMemoryOptions;
type Llamacpp = LlamacppMemoryOptions;

const moreOfTheGpu = ({ gpu_memory_utilization: share }: Vllm): Fix | null =>
  (share ?? usualShare) < mostShare
    ? { text: 'Let vLLM take 95 % of each GPU.', options: { gpu_memory_utilization: mostShare } }
    : null;

const noGraphs = ({ enforce_eager: eager }: Vllm): Fix | null =>
  eager === true
    ? null
    : {
        text: 'Do without CUDA graphs, which take memory of their own; it gets slower.',
        options: { enforce_eager: true },
      };

const fewerRequests = ({ max_num_seqs: most }: Vllm): Fix | null =>
  most !== null && most <= fewRequests
    ? null
    : { text: `Answer up to ${fewRequests} requests at the same time.`, options: { max_num_seqs: fewRequests } };

const lessOfTheGpu = ({ gpu_memory_utilization: share }: Vllm): Fix => {
  const less = Math.max(0.1, Math.round(((share ?? usualShare) - 0.05) * 100) / 100);
  return {
    text: `Plan with ${Math.round(less * 100)} % of each GPU: the rest is for what vLLM does not count.`,
    options: { gpu_memory_utilization: less },
  };
};

const lessInMainMemory = ({ cpu_offload_gb: offload }: Vllm): Fix | null =>
  offload === null || offload === 0
    ? null
    : { text: 'Keep no weights in main memory.', options: { cpu_offload_gb: null } };

const oneGpu = ({ tensor_parallel_size: parallel }: Vllm): Fix | null =>
  (parallel ?? 1) > 1
    ? { text: 'Run it on one GPU, where it fits there.', options: { tensor_parallel_size: 1 } }
    : null;

const plainExchange = ({ tensor_parallel_size: parallel }: Vllm): Fix | null =>
  (parallel ?? 1) > 1
    ? {
        text: "Let the GPUs exchange through NCCL alone, without vLLM's own way.",
        options: { disable_custom_all_reduce: true },
      }
    : null;

const shorterContext = ({ context_size: size }: Llamacpp): Fix | null => {
  const shorter = size === null || size === 0 ? modestContext : Math.floor(size / 2);
  return shorter < leastContext
    ? null
    : { text: `Shorten the context to ${shorter} tokens.`, options: { context_size: shorter } };
};

const smallerCache = ({ cache_type_k: type }: Llamacpp): Fix | null =>
  (type ?? 'f16') === 'f16'
    ? {
        text: 'Keep the cache in 8 bits.',
        options: { cache_type_k: 'q8_0', cache_type_v: 'q8_0', flash_attention: 'on' },
      }
    : null;

const layersThatFit = ({ gpu_layers: layers }: Llamacpp): Fix | null =>
  layers === null || layers === 0
    ? null
    : { text: 'Let llama.cpp choose how many layers it keeps on the GPU.', options: { gpu_layers: null } };

/** By the code of the rule. What can't be put right by an option has none. */
const vllm: Readonly<Record<string, Fixes<Vllm>>> = {
  'length-over-kv-cache': (options, [, newer, older]) => {
    const fits = Number(newer ?? older);
    const shorter = { text: `Shorten the context to ${fits} tokens.`, options: { max_model_len: fits } };
    return [fits > 0 ? shorter : null, moreOfTheGpu(options)];
  },
  'no-kv-cache': (options) => [moreOfTheGpu(options), noGraphs(options)],
  'gpu-memory-taken': (_options, [, free, total]) => {
    const share = Math.floor((Number(free) / Number(total)) * 100) / 100;
    if (!(share >= 0.05)) return [];
    const text = `Let vLLM take the ${Math.round(share * 100)} % of the GPU that are free.`;
    return [{ text, options: { gpu_memory_utilization: share } }];
  },
  'no-bfloat16': () => [{ text: 'Compute in float16.', options: { dtype: 'float16' } }],
  'quantisation-unsupported': ({ quantization }) => [
    quantization === null
      ? null
      : { text: 'Take the quantisation that the model itself names.', options: { quantization: null } },
  ],
  'heads-not-divisible': (_options, [, heads, parallel]) => {
    for (let fewer = Number(parallel) - 1; fewer >= 1; fewer -= 1)
      if (Number(heads) % fewer === 0)
        return [
          {
            text: fewer === 1 ? 'Run it on one GPU.' : `Split each layer over ${fewer} GPUs.`,
            options: { tensor_parallel_size: fewer },
          },
        ];
    return [];
  },
  'own-code': () => [
    {
      text: "Let the engine run the model's own code: only if you have read it and trust it.",
      options: { trust_remote_code: true },
    },
  ],
  'gpu-memory': (options) => [fewerRequests(options), noGraphs(options), lessOfTheGpu(options)],
  'shared-memory': (options) => [oneGpu(options)],
  'gpus-can-not-talk': (options) => [plainExchange(options), oneGpu(options)],
  memory: (options) => [lessInMainMemory(options)],
};
const llamacpp: Readonly<Record<string, Fixes<Llamacpp>>> = {
  'gpu-memory': (options) => [layersThatFit(options), shorterContext(options), smallerCache(options)],
  memory: (options) => [shorterContext(options), smallerCache(options)],
  'cache-needs-flash-attention': () => [
    { text: 'Turn flash attention on.', options: { flash_attention: 'on' } },
    { text: 'Keep the values of the cache in 16 bits.', options: { cache_type_v: null } },
  ],
};

/** The failures that some option may put right. */
export const fixable: ReadonlySet<string> = new Set([...Object.keys(vllm), ...Object.keys(llamacpp), 'unknown-option']);

/** What may put a known failure of a model right, the mildest first. */
export function fixesFor(code: string, found: Found, subject: Subject): Fix[] {
  if (code === 'unknown-option') return withoutOption(subject, found[1] ?? '');
  const { engine, options } = memoryModel(subject);
  const fixes = engine === 'vllm' ? vllm[code]?.(options, found) : llamacpp[code]?.(options, found);
  const all: Readonly<Record<string, unknown>> = subject.options;
  // What is so already helps nobody.
  const changes = ({ options: change }: Fix) => Object.entries(change).some(([name, value]) => all[name] !== value);
  return (fixes ?? []).filter((fix) => fix !== null).filter(changes);
}

/** The options that the engine named as unknown are left out, whether they have a field or are further arguments. */
function withoutOption({ engine, options }: Subject, named: string): Fix[] {
  const flags = new Set(
    named
      .split(/\s+/)
      .filter((word) => word.startsWith('-'))
      .map(flagOf),
  );
  if (flags.size === 0) return [];
  const values: Readonly<Record<string, unknown>> = options;
  const fields = Object.entries(optionTables[engine]).flatMap(([name, { spellings }]) => {
    const isNamed = spellings.some((spelling) => 'flag' in spelling && flags.has(spelling.flag));
    return isNamed && values[name] !== null ? [[name, null] as const] : [];
  });
  const kept = options.extra_args.filter((word, index, all) => {
    const before = all[index - 1] ?? '';
    const isValueOfOne = !word.startsWith('-') && !before.includes('=') && flags.has(before);
    return !flags.has(flagOf(word)) && !isValueOfOne;
  });
  const further = kept.length < options.extra_args.length ? { extra_args: kept } : {};
  const change: Fix['options'] = { ...Object.fromEntries(fields), ...further };
  if (Object.keys(change).length === 0) return [];
  return [{ text: `Leave out ${[...flags].join(', ')}.`, options: change }];
}

const flagOf = (word: string): string => word.split('=')[0] ?? word;
