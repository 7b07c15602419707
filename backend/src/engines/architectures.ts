import type { Engine } from '../../../contract/models.ts';
import { compareVersions } from './command-line.ts';
import { llamacppArchitectures } from './llamacpp-architectures.ts';
import { vllmEnded, vllmSpans } from './vllm-architectures.ts';

/**
 * Why an engine may not be able to run a model of these architectures; null where nothing speaks against it. It is a
 * doubt and no refusal: an image may be newer than the lists.
 * @param architectures as config.json or the GGUF file names them
 * @param version the engine's, where it is known
 */
export function architectureDoubt(
  engine: Engine,
  architectures: readonly string[],
  version: string | null,
): string | null {
  if (architectures.length === 0) return null;
  const doubts = architectures.map((name) => (engine === 'vllm' ? vllmDoubt(name, version) : llamacppDoubt(name)));
  // vLLM takes the first architecture of the list that it knows.
  return doubts.includes(null) ? null : (doubts[0] ?? null);
}

const spanOf = (name: string) => vllmSpans.find(({ names }) => names.has(name));

/** Newer versions make vectors and scores with the writing model of the same family (_SUFFIX_TO_DEFAULTS of vllm/config/model.py). */
const convertible = /(ForSequenceClassification|ForTextEncoding|EmbeddingModel|ForRewardModeling|RewardModel|Model)$/;

function vllmDoubt(name: string, version: string | null): string | null {
  const ended = vllmEnded[name];
  if (ended !== undefined && version !== null && compareVersions(version, ended) > 0)
    return `vLLM runs ${name} up to version ${ended} only; this one is ${version}.`;
  const first = spanOf(name) ?? spanOf(name.replace(convertible, 'ForCausalLM'));
  if (first === undefined) {
    if (ended !== undefined) return null;
    return `${name} is not in vLLM's list of architectures that Cortex knows. A newer version may have it, or run it through Transformers.`;
  }
  const { after, by } = first;
  if (version === null || after === null) return null;
  if (compareVersions(version, after) > 0 || compareVersions(version, by) >= 0) return null;
  return `vLLM ${version} does not have ${name} yet; ${by} does.`;
}

const llamacppDoubt = (name: string): string | null =>
  llamacppArchitectures.has(name)
    ? null
    : `${name} is not in llama.cpp's list of architectures that Cortex knows. A newer build may have it.`;

/** The engine that does not run what this one does, and why: each reads a format of its own. */
export const unfitEngine = (runs: Engine): { engine: Engine; reason: string } =>
  runs === 'vllm'
    ? { engine: 'llamacpp', reason: 'It reads GGUF files only; llama.cpp brings a converter (convert_hf_to_gguf.py).' }
    : {
        engine: 'vllm',
        reason: 'It reads safetensors; GGUF it takes as an experiment at best, and not in every version.',
      };
