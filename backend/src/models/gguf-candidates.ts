import type { Candidate, FileRemark } from '../../../contract/models.ts';
import { architectureDoubt, unfitEngine } from '../engines/architectures.ts';
import { llamacppCompanions, llamacppEncoders } from '../engines/llamacpp-architectures.ts';
import type { FolderFile } from './folder-files.ts';
import { ModelFileError } from './formats/byte-source.ts';
import { ggufFileTypes } from './formats/ggml-types.ts';
import { type GgufModel, readGgufModel } from './formats/gguf.ts';
import { type GgufSet, ggufSets } from './gguf-sets.ts';
import { type Offer, printable } from './offer.ts';

interface ReadSet {
  readonly set: GgufSet;
  readonly model: GgufModel;
}

/** The GGUF models of a folder. Each set of parts is one, so of several quantisations the user chooses. */
export async function ggufOffer(
  files: readonly FolderFile[],
  version: string | null,
  signal: AbortSignal,
): Promise<Offer> {
  const problems: FileRemark[] = [];
  const notes: FileRemark[] = [];
  const models: ReadSet[] = [];
  for (const set of ggufSets(files)) {
    if (set.fault !== null) {
      problems.push({ file: set.first, message: set.fault });
      continue;
    }
    try {
      const model = await readGgufModel(set.parts, signal);
      const note = companionNote(model);
      if (note === null) models.push({ set, model: checked(model) });
      else notes.push({ file: set.first, message: note });
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      const message = `This file can't be loaded: ${error.message}.`;
      problems.push({ file: error.file ?? set.first, message });
    }
  }
  const licenses = models.flatMap(({ model }) => textOf(model, 'general.license') ?? []);
  return { candidates: candidatesOf(models, version), problems, notes, license: licenses[0] ?? null };
}

/** A file that goes along with a model and is none: why; null of a model. */
function companionNote(model: GgufModel): string | null {
  const architecture = textOf(model, 'general.architecture');
  const type = textOf(model, 'general.type');
  if (architecture === 'clip' || type === 'mmproj')
    return "This is a projector, the part of a model that sees or hears: name it in the model's option mmproj.";
  if (type === 'adapter')
    return `This is a LoRA adapter${architecture === null ? '' : ` of a ${architecture} model`}: it is given to a model and is none by itself.`;
  if (type === 'imatrix') return 'This is an importance matrix: a tool for quantising, and no model.';
  if (architecture !== null && llamacppCompanions.has(architecture))
    return `This is ${architecture}: it goes along with a model and is none by itself.`;
  return null;
}

function checked(model: GgufModel): GgufModel {
  if (textOf(model, 'general.architecture') === null) throw new ModelFileError('it names no architecture');
  if (model.tensors.length === 0) throw new ModelFileError('it holds a vocabulary and no weights');
  return model;
}

function candidatesOf(models: readonly ReadSet[], version: string | null): Candidate[] {
  const candidates = models.map(({ set, model }) => candidateOf(set, model, version));
  // Where two would look alike, the names of their files tell them apart.
  const same = (one: Candidate) =>
    candidates.filter(({ label, quantization }) => label === one.label && quantization === one.quantization).length > 1;
  return candidates.map((candidate, index) => ({
    ...candidate,
    label: same(candidate) ? (models[index]?.set.stem ?? candidate.label) : candidate.label,
  }));
}

/** LLAMA_POOLING_TYPE_RANK of llama.h. */
const rankPooling = 4;

function candidateOf(set: GgufSet, model: GgufModel, version: string | null): Candidate {
  const architecture = textOf(model, 'general.architecture') ?? '';
  const pooling = numberOf(model, `${architecture}.pooling_type`) ?? 0;
  const task = llamacppEncoders.has(architecture) || pooling > 0 ? 'embed' : 'generate';
  return {
    engine: 'llamacpp',
    task,
    file: set.first,
    label: textOf(model, 'general.name') ?? set.stem,
    sizeBytes: set.parts.reduce((total, part) => total + part.sizeBytes, 0),
    parts: set.parts.length,
    architecture,
    context_length: numberOf(model, `${architecture}.context_length`),
    quantization: quantizationOf(model),
    not_for: unfitEngine('llamacpp'),
    warnings: warningsOf(model, architecture, task, pooling, version),
  };
}

function warningsOf(
  model: GgufModel,
  architecture: string,
  task: Candidate['task'],
  pooling: number,
  version: string | null,
): string[] {
  const has = (key: string) => model.metadata.has(key) || model.passedOver.has(key);
  const unknown = new Set(model.tensors.flatMap(({ type }) => (type.startsWith('type ') ? [type.slice(5)] : [])));
  const warnings = [architectureDoubt('llamacpp', [architecture], version)];
  if (pooling === rankPooling)
    warnings.push(
      'This is a reranker: it scores texts against a question. It starts with the option pooling set to rank.',
    );
  if (unknown.size > 0)
    warnings.push(
      `It has weights of number types that Cortex does not know (${[...unknown].join(', ')}): it needs a recent build.`,
    );
  if (!has('tokenizer.ggml.tokens')) warnings.push('It has no vocabulary: llama.cpp can read no text with it.');
  if (task === 'generate' && !has('tokenizer.chat_template'))
    warnings.push(
      'It has no chat template: llama.cpp guesses one, so chats may read oddly. Plain completions are not affected.',
    );
  if (model.surplusBytes > 0)
    warnings.push(
      `${model.surplusBytes.toLocaleString('en')} bytes stand behind its last weight, which llama.cpp does not read.`,
    );
  return warnings.filter((warning) => warning !== null);
}

/** The quantisation that the file names; else the number type that most of its bytes have. */
function quantizationOf(model: GgufModel): string | null {
  const named = ggufFileTypes.get(numberOf(model, 'general.file_type') ?? -1);
  if (named !== undefined) return named;
  const bytes = new Map<string, number>();
  for (const tensor of model.tensors) bytes.set(tensor.type, (bytes.get(tensor.type) ?? 0) + tensor.bytes);
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}

function textOf({ metadata }: GgufModel, key: string): string | null {
  const value = metadata.get(key);
  const shown = typeof value === 'string' ? printable(value) : '';
  return shown === '' ? null : shown;
}

function numberOf({ metadata }: GgufModel, key: string): number | null {
  const value = metadata.get(key);
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}
