import { afterEach, beforeEach, expect, it } from 'vitest';
import { servingSettings } from '../../../contract/routing.ts';
import { GatewayUnderTest, sendFrames, sendJson, token } from '../../../tests/fixtures/scripted-engine.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = new GatewayUnderTest();
  await gateway.start();
});
afterEach(() => gateway.close());

const ask = (path: string, body?: object, key = token('full')) =>
  fetch(`${gateway.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const chat = (more: object = {}) => ask('/v1/chat/completions', { model: 'chatty', messages: [], ...more });

const answers: [string, number, () => Promise<Response>][] = [
  ['a document', 200, () => chat()],
  ['a stream', 200, () => chat({ stream: true })],
  ['what the engine refused', 422, () => chat({ refuse: true })],
  ['the list of models', 200, () => ask('/v1/models')],
  ['an unknown key', 401, () => ask('/v1/models', undefined, 'nobody')],
  ['an unknown model', 404, () => chat({ model: 'nobody' })],
  ['a model that is not ready', 503, () => chat({ model: 'sleepy' })],
  ['a path that is none', 404, () => ask('/v1/nothing')],
  ['a method that is none', 405, () => ask('/v1/chat/completions')],
];

it.each(answers)('%s (%i) tells where its time went', async (_what, status, send) => {
  gateway.engine.script = async (response, { body }) => {
    if (body.includes('refuse')) return sendJson(response, { error: { message: 'no' } }, 422);
    if (!body.includes('"stream":true')) return sendJson(response, { choices: [] });
    await sendFrames(response, ['data: [DONE]\n\n']);
    response.end();
  };
  const answer = await send();
  await answer.text();
  expect(answer.status).toBe(status);
  expect(Number(answer.headers.get('x-cortex-overhead-ms'))).toBeGreaterThan(0);
  expect(answer.headers.get('server-timing')).toMatch(
    /^gateway;dur=\d+\.\d\d, queue;dur=\d+(, engine;dur=\d+\.\d\d)?$/,
  );
});

it('who waited in vain learns for how long, and so does the ledger', async () => {
  const serving = servingSettings.parse({ max_concurrent: 1, queue_timeout_seconds: 0.2 });
  gateway.table.replace({ serving: { chatty: serving } });
  gateway.engine.script = async (response) => {
    await new Promise((resolve) => setTimeout(resolve, 600));
    sendJson(response, { choices: [] });
  };
  const first = chat();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const second = await chat();
  expect(second.status).toBe(503);
  expect(Number(/queue;dur=(\d+)/.exec(second.headers.get('server-timing') ?? '')?.[1])).toBeGreaterThanOrEqual(190);
  expect(gateway.records.find(({ cause }) => cause === 'queue_timeout')?.queue_ms).toBeGreaterThanOrEqual(190);
  await (await first).text();
});
