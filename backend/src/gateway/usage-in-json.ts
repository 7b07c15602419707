/** What an engine says of tokens, whichever dialect it speaks; a count that it does not name is undefined. */
export interface Usage {
  readonly prompt: number | undefined;
  readonly completion: number | undefined;
  readonly cached: number | undefined;
}

/** The usage of an answer, parsed: it stands at the top, or inside what Anthropic's message_start and OpenAI's response.completed carry. */
export function usageOf(answer: unknown): Usage | undefined {
  for (const holder of [answer, member(answer, 'message'), member(answer, 'response')]) {
    const usage = readUsage(member(holder, 'usage'));
    if (usage !== undefined) return usage;
  }
  return undefined;
}

/**
 * The usage of an answer that is one JSON document. Engines tell it at or near the end, and parsing all that a model wrote
 * to get there was 5 % of what a request cost.
 */
export function usageInDocument(json: string): Usage | undefined {
  const near = usageNearEnd(json);
  return near === undefined ? usageOf(parsed(json)) : readUsage(parsed(near));
}

const farthestChars = 4096;
const usageKey = '"usage"';

/**
 * The value of the outermost object's last member `usage`, where that stands near the end. Inside a string a quote is
 * escaped, so the key is found outside of strings alone; that it is the outermost object's shows by what is closed behind it.
 */
function usageNearEnd(json: string): string | undefined {
  const key = json.lastIndexOf(usageKey);
  // A string that ends with `\\"usage` looks the same from here.
  if (key === -1 || json[key - 1] === '\\' || json.length - key > farthestChars) return undefined;
  const start = behindColon(json, key + usageKey.length);
  let depth = 1;
  let end = -1;
  for (let at = start; at < json.length; at += 1) {
    const char = json[at];
    if (char === '"') at = endOfString(json, at);
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (depth === 1 && end === -1 && char === '}') end = at + 1;
    if (depth < 0) return undefined;
  }
  return json[start] === '{' && depth === 0 && end !== -1 ? json.slice(start, end) : undefined;
}

function behindColon(json: string, from: number): number {
  let at = from;
  while (isSpace(json[at])) at += 1;
  if (json[at] !== ':') return json.length;
  at += 1;
  while (isSpace(json[at])) at += 1;
  return at;
}

const isSpace = (char: string | undefined) => char === ' ' || char === '\n' || char === '\r' || char === '\t';

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}

/** OpenAI's names, and those of its Responses API and of Anthropic's messages. What counts no tokens is no usage. */
function readUsage(told: unknown): Usage | undefined {
  if (!isObject(told)) return undefined;
  const counts = {
    prompt: told.prompt_tokens ?? told.input_tokens,
    completion: told.completion_tokens ?? told.output_tokens,
    cached:
      member(told.prompt_tokens_details, 'cached_tokens') ??
      member(told.input_tokens_details, 'cached_tokens') ??
      told.cache_read_input_tokens,
  };
  const { completion, cached } = counts;
  // Rerankers of vLLM tell a total alone: all of it was read.
  const prompt = counts.prompt ?? (completion === undefined ? told.total_tokens : undefined);
  if (!isCountOrNothing(prompt) || !isCountOrNothing(completion) || !isCountOrNothing(cached)) return undefined;
  return { prompt: prompt ?? undefined, completion: completion ?? undefined, cached: cached ?? undefined };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const member = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);
const isCountOrNothing = (value: unknown): value is number | null | undefined =>
  value === undefined || value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
