import type { HubChoice } from '../../../contract/downloads.ts';
import type { HubFile } from '../../../offline/hub.ts';

const part = /-\d{5}-of-\d{5}(?=\.gguf$)/i;
/** Beside the weights: configuration, tokenizers, templates, and the licence. */
const companions = /(\.(json|txt|model|tiktoken|jinja|py)|(^|\/)(LICENSE|NOTICE|README)[^/]*)$/i;
/** The same weights once more, for other software. */
const copies = /^(original|onnx|openvino|coreml|metal|flax|tf)\//i;

/** What a download may put into a folder: hidden names are Cortex's own, and `.partial` is a file that is on its way. */
export const isWanted = ({ path }: HubFile): boolean =>
  path.split('/').every((name) => !name.startsWith('.')) && !path.endsWith('.partial');

/** What there is to choose from: each quantisation for itself, and safetensors without their duplicates. */
export function hubChoices(all: readonly HubFile[]): HubChoice[] {
  const files = all.filter(isWanted);
  const sets = new Map<string, HubFile[]>();
  for (const file of files.filter(({ path }) => /\.gguf$/i.test(path))) {
    const set = file.path.replace(part, '');
    sets.set(set, [...(sets.get(set) ?? []), file]);
  }
  const choices = [...sets].map(([label, parts]) => choice(label, 'gguf', parts));
  choices.sort((a, b) => a.size_bytes - b.size_bytes);
  const tensors = files.filter(({ path }) => path.endsWith('.safetensors') && !copies.test(path));
  if (tensors.length === 0) return choices;
  // Mistral's own form of the same weights lies beside that of transformers.
  const others = tensors.filter(({ path }) => !isConsolidated(path));
  const weights = others.some(({ path }) => /^model[.-]/.test(path)) ? others : tensors;
  const beside = files.filter(
    ({ path }) => companions.test(path) && !copies.test(path) && !(weights === others && isConsolidated(path)),
  );
  return [choice('safetensors', 'safetensors', [...weights, ...beside]), ...choices];
}

const isConsolidated = (path: string): boolean => path.startsWith('consolidated');

function choice(label: string, kind: HubChoice['kind'], files: readonly HubFile[]): HubChoice {
  const size_bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { label, kind, paths: files.map(({ path }) => path).sort(), size_bytes };
}
