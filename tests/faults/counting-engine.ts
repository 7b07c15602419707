import { ScriptedEngine, sendFrames, sendJson } from '../fixtures/scripted-engine.ts';

/** An engine whose answers tell their own count of tokens, as text and as usage, so that the ledger can be held against it. */
export async function startCountingEngine(): Promise<ScriptedEngine> {
  const engine = new ScriptedEngine();
  let number = 0;
  engine.script = async (response, { body }) => {
    number += 1;
    const tokens = (number % 900) + 1;
    const usage = { prompt_tokens: 3, completion_tokens: tokens, total_tokens: tokens + 3 };
    const base = { id: `c${number}`, created: 1, model: 'steady' };
    if (!body.includes('"stream":true')) {
      const message = { role: 'assistant', content: `tokens-${tokens}` };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      sendJson(response, { ...base, object: 'chat.completion', choices, usage });
      return;
    }
    const chunk = (content: string) => ({
      ...base,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content }, finish_reason: null }],
    });
    const usageChunk = { ...base, object: 'chat.completion.chunk', choices: [], usage };
    const events = [chunk('Here: '), chunk(`tokens-${tokens}`), usageChunk];
    await sendFrames(response, [...events.map((event) => `data: ${JSON.stringify(event)}\n\n`), 'data: [DONE]\n\n']);
    response.end();
  };
  await engine.start();
  return engine;
}
