import type { Candidate, FileRemark } from '../../../contract/models.ts';
import { architectureDoubt, unfitEngine } from '../engines/architectures.ts';
import type { FolderFile } from './folder-files.ts';
import { ModelFileError } from './formats/byte-source.ts';
import { readConfigFile, readShardIndex } from './formats/json-file.ts';
import { readShards, type SafetensorsTensor } from './formats/safetensors.ts';
import { configFacts } from './hf-config.ts';
import { type Offer, printable } from './offer.ts';
import { indexOf, isAdapter, type ShardSet, shardSet } from './shard-sets.ts';
import { hasChatTemplate, tokenizerFault } from './tokenizer-files.ts';

const nothing: Offer = { candidates: [], problems: [], notes: [], license: null };

/**
 * The safetensors model of a folder, which holds one at most.
 * @param label what to call it
 * @param version vLLM's, where it is known
 */
export async function safetensorsOffer(
  files: readonly FolderFile[],
  label: string,
  version: string | null,
  signal: AbortSignal,
): Promise<Offer> {
  const weights = files.filter(({ name }) => name.endsWith('.safetensors'));
  if (weights.length === 0) return nothing;
  if (weights.every(isAdapter)) return { ...nothing, notes: weights.map(adapterNote) };
  const problems = missingFiles(files);
  if (problems.length > 0) return { ...nothing, problems };
  try {
    const indexFile = indexOf(files);
    const index = indexFile === undefined ? null : await readShardIndex(indexFile, signal);
    const set = shardSet(files, index);
    const tensors = await readShards(set.shards, index, signal);
    const candidate = await candidateOf(files, set, tensors, label, version, signal);
    return { ...nothing, candidates: [candidate], notes: notesOf(set, files) };
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    return { ...nothing, problems: [{ file: error.file, message: `This model can't be loaded: ${error.message}.` }] };
  }
}

function missingFiles(files: readonly FolderFile[]): FileRemark[] {
  const problems: FileRemark[] = [];
  if (!files.some(({ name }) => name === 'config.json'))
    problems.push({ file: 'config.json', message: 'config.json is missing: vLLM reads the architecture from it.' });
  const fault = tokenizerFault(files);
  if (fault !== null) problems.push({ file: null, message: fault });
  return problems;
}

async function candidateOf(
  files: readonly FolderFile[],
  { shards }: ShardSet,
  tensors: readonly SafetensorsTensor[],
  label: string,
  version: string | null,
  signal: AbortSignal,
): Promise<Candidate> {
  const read = async (wanted: string) => {
    const file = files.find(({ name }) => name === wanted);
    return file === undefined ? null : readConfigFile(file, signal);
  };
  const facts = configFacts((await read('config.json')) ?? {});
  // sentence-transformers puts these beside a model that makes vectors, whatever its architecture is.
  const isSentenceModel = files.some(({ name }) => name === 'modules.json');
  const longestSentence = (await read('sentence_bert_config.json'))?.max_seq_length;
  const quantization = facts.quantization ?? modeloptMethod(await read('hf_quant_config.json')) ?? mostOf(tensors);
  const task = isSentenceModel ? 'embed' : facts.task;
  const doubt = architectureDoubt('vllm', facts.architectures, version);
  const warnings = [
    facts.architectures.length === 0 ? 'config.json names no architecture: vLLM will hardly know how to run it.' : null,
    doubt === null || !facts.hasOwnCode
      ? doubt
      : `${doubt} It brings code of its own, which vLLM runs with trust_remote_code only.`,
    facts.scores
      ? 'It scores texts (a reranker, classifier or reward model) and writes none: ask it at /v1/rerank or /v1/score.'
      : null,
    task === 'generate' && !(await hasChatTemplate(files, signal))
      ? 'It has no chat template: vLLM refuses chats with it. Plain completions work.'
      : null,
  ];
  return {
    engine: 'vllm',
    task,
    file: null,
    label,
    sizeBytes: shards.reduce((total, file) => total + file.sizeBytes, 0),
    parts: shards.length,
    architecture: facts.architectures[0] ?? null,
    context_length:
      isSentenceModel && typeof longestSentence === 'number' && Number.isSafeInteger(longestSentence)
        ? longestSentence
        : facts.contextLength,
    quantization,
    not_for: unfitEngine('vllm'),
    warnings: warnings.filter((warning) => warning !== null),
  };
}

/** NVIDIA's ModelOpt writes its method to a file of its own. */
function modeloptMethod(config: Readonly<Record<string, unknown>> | null): string | null {
  const { quantization } = config ?? {};
  if (typeof quantization !== 'object' || quantization === null || !('quant_algo' in quantization)) return null;
  return typeof quantization.quant_algo === 'string' ? printable(quantization.quant_algo) : null;
}

/** The dtype that most of the bytes have. */
function mostOf(tensors: readonly SafetensorsTensor[]): string | null {
  const bytes = new Map<string, number>();
  for (const { dtype, bytes: size } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + size);
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}

function notesOf({ others }: ShardSet, files: readonly FolderFile[]): FileRemark[] {
  const notes = others.map((file) =>
    isAdapter(file)
      ? adapterNote(file)
      : { file: file.name, message: "This is none of the model's weights: its index does not name it." },
  );
  if (!files.some(({ name }) => name === 'generation_config.json'))
    notes.push({ file: null, message: "There is no generation_config.json: vLLM's own sampling defaults apply." });
  return notes;
}

const adapterNote = ({ name }: FolderFile): FileRemark => ({
  file: name,
  message: 'This is a LoRA adapter: it is given to a model and is none by itself.',
});
