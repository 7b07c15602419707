import { llamacppModel } from './llamacpp-model.ts';
import { llamacppServing } from './llamacpp-serving.ts';
import type { EngineOption } from './option.ts';
import { vllmModel } from './vllm-model.ts';
import { vllmServing } from './vllm-serving.ts';

export const llamacppTable = { ...llamacppServing, ...llamacppModel };
export const vllmTable = { ...vllmServing, ...vllmModel };

export type EngineName = 'llamacpp' | 'vllm';

/** Every option of each engine, by its name in the API. */
export const optionTables: Readonly<Record<EngineName, Readonly<Record<string, EngineOption>>>> = {
  llamacpp: llamacppTable,
  vllm: vllmTable,
};

export const engineNames: Readonly<Record<EngineName, string>> = { llamacpp: 'llama.cpp', vllm: 'vLLM' };
