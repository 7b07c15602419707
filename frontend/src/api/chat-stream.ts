import { z } from 'zod';
import { readError } from './client.ts';

const chunk = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }) })).default([]),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
  error: z.object({ message: z.string() }).optional(),
});

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly { role: 'system' | 'user' | 'assistant'; content: string }[];
  readonly temperature: number;
  readonly max_tokens: number;
}
export type ChatPart = { readonly text: string } | { readonly promptTokens: number; readonly completionTokens: number };

/** Streams an answer with the session of this page. @throws ApiError, or Error where the engine breaks off */
export async function* streamChat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatPart> {
  const answer = await fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  if (!answer.ok || answer.body === null) throw await readError(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + read.value).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data:') || line.includes('[DONE]')) continue;
      const { choices, usage, error } = chunk.parse(JSON.parse(line.slice(5)));
      if (error) throw new Error(error.message);
      const text = choices[0]?.delta.content;
      if (text) yield { text };
      if (usage) yield { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens };
    }
  }
}
