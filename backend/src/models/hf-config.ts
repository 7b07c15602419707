import type { Task } from '../../../contract/models.ts';
import { vllmEmbedders } from '../engines/vllm-architectures.ts';
import { printable } from './offer.ts';

type Json = Readonly<Record<string, unknown>>;

/** What a Hugging Face config.json says of a model. Nothing in it is trusted to have its usual type. */
export interface ConfigFacts {
  readonly architectures: readonly string[];
  readonly contextLength: number | null;
  /** `AWQ 4-bit`; null where the weights are as they were trained. */
  readonly quantization: string | null;
  readonly task: Task;
  /** Whether it scores texts, as rerankers and classifiers do. */
  readonly scores: boolean;
  /** Whether it brings code of its own. */
  readonly hasOwnCode: boolean;
}

/** The names that vLLM looks for (_get_and_verify_max_len of vllm/config/model.py); the smallest that is there counts. */
const lengthNames = [
  'max_position_embeddings',
  'n_positions',
  'max_seq_len',
  'seq_length',
  'model_max_length',
  'max_target_positions',
  'max_sequence_length',
  'max_seq_length',
  'seq_len',
];

/** Where configurations of models that also see or hear keep those of their text part. */
const textParts = ['text_config', 'llm_config', 'language_config', 'thinker_config'];

export function configFacts(config: Json): ConfigFacts {
  const architectures = textsOf(config.architectures);
  const scores = architectures.some((name) =>
    /For(SequenceClassification|Ranking|RewardModel|TokenClassification)$/.test(name),
  );
  const embeds = architectures.some((name) => vllmEmbedders.has(name));
  return {
    architectures,
    contextLength: contextLengthOf(config),
    quantization: quantizationOf(config),
    task: scores || embeds ? 'embed' : 'generate',
    scores,
    hasOwnCode: objectOf(config.auto_map) !== null,
  };
}

/** @param levels how far down configurations may hold one another */
function contextLengthOf(config: Json, levels = 2): number | null {
  const own = lengthOf(config);
  if (own !== null || levels === 0) return own;
  for (const part of textParts) {
    const inner = objectOf(config[part]);
    const length = inner === null ? null : contextLengthOf(inner, levels - 1);
    if (length !== null) return length;
  }
  return null;
}

function lengthOf(config: Json): number | null {
  const lengths = lengthNames.flatMap((name) => countOf(config[name]) ?? []);
  if (lengths.length === 0) return null;
  const length = Math.min(...lengths);
  const rope = objectOf(config.rope_scaling) ?? objectOf(config.rope_parameters);
  const type = rope?.rope_type ?? rope?.type;
  // Other kinds of scaling give the stretched length at once.
  const stretches = rope !== null && (type === 'linear' || type === 'dynamic' || type === 'yarn');
  if (!stretches || String(config.model_type).startsWith('gemma3')) return length;
  const factor = typeof rope.factor === 'number' && rope.factor >= 1 && rope.factor <= 1024 ? rope.factor : 1;
  const base = type === 'yarn' ? (countOf(rope.original_max_position_embeddings) ?? length) : length;
  return Math.floor(base * factor);
}

function quantizationOf(config: Json): string | null {
  const parts: readonly Json[] = [config, ...textParts.flatMap((name): Json[] => [objectOf(config[name]) ?? {}])];
  for (const part of parts) {
    const found = objectOf(part.quantization_config) ?? objectOf(part.compression_config);
    if (found !== null) return methodOf(found);
  }
  return null;
}

function methodOf(found: Json): string {
  const method = typeof found.quant_method === 'string' ? printable(found.quant_method) : 'quantised';
  const name = /^(awq|gptq|fp8|aqlm|hqq|mxfp4)$/i.test(method) ? method.toUpperCase() : method;
  const bits = countOf(found.bits) ?? countOf(found.w_bit) ?? (found.load_in_4bit === true ? 4 : null);
  return bits === null ? name : `${name} ${bits}-bit`;
}

const countOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.slice(0, 16).flatMap((one) => (typeof one === 'string' ? printable(one) : [])) : [];

function objectOf(value: unknown): Json | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return Object.fromEntries(Object.entries(value));
}
