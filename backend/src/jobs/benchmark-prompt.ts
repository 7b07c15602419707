import { randomInt } from 'node:crypto';

/** Common words: most tokenizers have a token for each. */
const words = (
  'time year people way day man thing woman life child world school state family student group country problem hand part ' +
  'place case week company system program question work government number night point home water room mother area money ' +
  'story fact month lot right study book eye job word business issue side kind head house service friend father power hour ' +
  'game line end member law car city community name president team minute idea kid body information back parent face others ' +
  'level office door health person art war history party result change morning reason research girl guy moment air teacher'
).split(' ');

/** So many words by chance: no cache of an engine has seen them in this order. */
export const promptOf = (count: number): string =>
  Array.from({ length: count }, () => words[randomInt(words.length)]).join(' ');

/** A prompt that was sent, and its tokens as the engine counted them; null where it told none. */
export interface SentPrompt {
  readonly words: number;
  readonly tokens: number | null;
}

/** How many words make so many tokens, as two prompts of different length tell. */
export function wordsFor(tokens: number, short: SentPrompt, long: SentPrompt): number {
  if (short.tokens === null || long.tokens === null || long.tokens <= short.tokens) return tokens;
  const perWord = (long.tokens - short.tokens) / (long.words - short.words);
  // What the engine puts around each prompt.
  const around = Math.max(0, short.tokens - perWord * short.words);
  return Math.max(1, Math.round((tokens - around) / perWord));
}
