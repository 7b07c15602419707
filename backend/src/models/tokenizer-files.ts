import type { FolderFile } from './folder-files.ts';
import { readConfigFile } from './formats/json-file.ts';

/** Each a tokenizer by itself, as Transformers or mistral-common reads them. */
const wholeTokenizers = [
  'tokenizer.json',
  'tokenizer.model',
  'tekken.json',
  'spiece.model',
  'sentencepiece.bpe.model',
  'vocab.txt',
];

/** What a model lacks to turn texts into tokens; null where it has all. */
export function tokenizerFault(files: readonly FolderFile[]): string | null {
  const has = (name: string) => files.some((file) => file.name === name);
  if (wholeTokenizers.some(has) || files.some(({ name }) => /^tokenizer\.model\.v\d|\.tiktoken$/.test(name)))
    return null;
  if (has('vocab.json') && has('merges.txt')) return null;
  if (has('vocab.json') || has('merges.txt'))
    return `Half of the tokenizer is missing: ${has('vocab.json') ? 'merges.txt' : 'vocab.json'}.`;
  return 'There is no tokenizer (tokenizer.json, tokenizer.model, tekken.json, or vocab.json with merges.txt): vLLM would look for it on the internet.';
}

/** Whether the tokenizer's files say how a chat is written. @throws ModelFileError */
export async function hasChatTemplate(files: readonly FolderFile[], signal: AbortSignal): Promise<boolean> {
  // Mistral's own tokenizer knows its chats by itself.
  if (files.some(({ name }) => /^chat_template\.(jinja|json)$|^tekken\.json$|^tokenizer\.model\.v\d/.test(name)))
    return true;
  const config = files.find(({ name }) => name === 'tokenizer_config.json');
  if (config === undefined) return false;
  const { chat_template: template } = await readConfigFile(config, signal);
  return typeof template === 'string' ? template !== '' : Array.isArray(template) && template.length > 0;
}
