import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorBody } from '../../../contract/errors.ts';
import { GatewayUnderTest, sendJson, token } from '../../../tests/fixtures/scripted-engine.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = new GatewayUnderTest();
  await gateway.start();
  gateway.engine.script = (response) => sendJson(response, { usage: { prompt_tokens: 1, completion_tokens: 1 } });
});
afterEach(() => gateway.close());

const post = (body: Buffer | string) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token('full')}` },
    body: Buffer.from(body),
  });
const images = (part: string, count = 5) =>
  `{"model":"chatty","messages":[{"role":"user","content":[${Array(count).fill(part).join(',')}]}]}`;
const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`;

describe('a body is refused before any engine hears of it:', () => {
  it.each<[string, string | Buffer]>([
    ['bytes that are no UTF-8 where JSON is expected', Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00])],
    ['a byte order mark', '\ufeff{"model":"chatty"}'],
    ['NUL behind the JSON', '{"model":"chatty"}\0'],
    ['NUL inside a text', '{"model":"chatty","a":"\0"}'],
    ['arrays too deep', `{"model":"chatty","a":${nested(100_000, '[', ']')}}`],
    ['objects too deep', `{"model":"chatty","a":${nested(20_000, '{"a":', '}')}}`],
    ['brackets that do not close', '{"model":"chatty","a":'.concat('['.repeat(200_000))],
    ['two documents', '{"model":"chatty"}{"model":"chatty"}'],
    ['a number beyond any for n', '{"model":"chatty","n":1e999}'],
    ['a number beyond any for max_tokens', `{"model":"chatty","max_tokens":${'9'.repeat(400)}}`],
    ['a text for max_tokens', '{"model":"chatty","max_tokens":"99999999"}'],
    ['a model that is no text', '{"model":{"toString":"chatty"}}'],
    ['the last of two models, which is unknown', '{"model":"chatty","model":"nobody"}'],
    ['two models, though the last one is known', '{"model":"nobody","model":"chatty"}'],
    ['two models, one in escapes', '{"model":"chatty","\\u006dodel":"other"}'],
    ['the same number twice', '{"model":"chatty","max_tokens":5,"max_tokens":5}'],
    ['a second model in capitals, which engines in Go read', '{"model":"chatty","Model":"other"}'],
    ['a second model in letters that fold to it', '{"model":"chatty","max_to\u212aens":5}'],
    ['more choices than allowed under the name of llama.cpp', '{"model":"chatty","n_cmpl":17}'],
    ['more tokens than allowed under the name of llama.cpp', '{"model":"chatty","n_predict":100001}'],
    ['more images than allowed', images('{"type":"image_url","image_url":{"url":"data:,"}}')],
    ['more images than allowed, without a type', images('{"image_url":"data:,"}')],
    ['more images than allowed, in escapes', images('{"type":"\\u0069mage_url","\\u0069mage_url":{"url":""}}')],
    ['a model in __proto__', '{"__proto__":{"model":"chatty"}}'],
    ['a model with NUL', '{"model":"chatty\\u0000"}'],
    ['a model of half a character', '{"model":"\\ud83d"}'],
    ['nothing', ''],
    ['null', 'null'],
  ])('%s', async (_what, body) => {
    const answer = await post(body);
    expect([400, 404]).toContain(answer.status);
    const { error } = errorBody.parse(await answer.json());
    expect(error.request_id).toBe(answer.headers.get('x-request-id'));
    expect(gateway.engine.seen).toEqual([]);
    expect(gateway.logged).toEqual([]);
  });
});

describe('a body goes to the engine as it came:', () => {
  it.each([
    ['a name twice below the top', '{"model":"chatty","a":{"b":1,"b":2}}'],
    ['capitals in a name of no concern', '{"model":"chatty","chatTemplate":"a"}'],
    ['as many images as are allowed', images('{"type":"image_url","image_url":{"url":"data:,"}}', 4)],
    ['a name in escapes', '{"\\u006dodel":"chatty"}'],
    ['numbers that no double holds', '{"model":"chatty","seed":123456789012345678901234567890,"a":1e-999,"b":1e999}'],
    ['members with the names of what objects have', '{"model":"chatty","__proto__":{"a":1},"constructor":null}'],
    ['half a character in a text', '{"model":"chatty","a":"\\ud83d"}'],
    ['as deep as is allowed', `{"model":"chatty","a":${nested(63, '[', ']')}}`],
    ['brackets in a text', `{"model":"chatty","a":"${'[{'.repeat(500)}\\"${'['.repeat(500)}"}`],
  ])('%s', async (_what, body) => {
    const answer = await post(body);
    await answer.text();
    expect(answer.status).toBe(200);
    expect(gateway.engine.only().body).toBe(body);
  });
});

it.each(['gzip', 'br', 'identity, gzip'])(
  'a body that is compressed (%s) is refused in those words',
  async (coding) => {
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('full')}`, 'content-encoding': coding },
      body: gzipSync('{"model":"chatty"}'),
    });
    expect(answer.status).toBe(400);
    expect(errorBody.parse(await answer.json()).error.message).toContain(`content-encoding: ${coding}`);
    expect(gateway.engine.seen).toEqual([]);
  },
);

it('bad UTF-8 inside a text is not mended on its way', async () => {
  const body = Buffer.concat([Buffer.from('{"model":"chatty","a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
  const answer = await post(body);
  await answer.text();
  expect(answer.status).toBe(200);
  expect(gateway.engine.only().headers['content-length']).toBe(String(body.length));
});
