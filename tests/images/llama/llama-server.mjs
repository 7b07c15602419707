#!/usr/bin/env node
// Stands in for llama-server: the same command line, paths, answers and log lines, over the same llama.cpp.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadEngine } from './engine.mjs';
import { readFlags, usage } from './flags.mjs';
import { clientGone, openEvents, readJson, sendJson, sendText } from './http.mjs';

const log = (line) => process.stderr.write(`${line}\n`);
const fail = (line) => {
  log(line);
  process.exit(1);
};
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));

let flags;
try {
  flags = readFlags(process.argv.slice(2));
} catch (error) {
  fail(`error: ${error.message}`);
}
if (flags.help) {
  process.stdout.write(usage);
  process.exit(0);
}
if (flags.version) {
  log('version: 0 (cortex-stand-in)\nbuilt with node-llama-cpp for x86_64-linux-gnu');
  process.exit(0);
}
const keys = flags.apiKey === undefined ? [] : flags.apiKey.split(',');
if (flags.apiKeyFile !== undefined) {
  if (!existsSync(flags.apiKeyFile)) {
    fail(`error while handling argument "--api-key-file": error: failed to open file '${flags.apiKeyFile}'`);
  }
  keys.push(
    ...readFileSync(flags.apiKeyFile, 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
}
if (flags.model === undefined) fail('error: --model is required');
// As newer builds say it; the real ones find out when they make the context.
if (flags.flashAttention === 'off' && /^(?:q|iq)\d/.test(flags.cacheTypeV ?? ''))
  fail('failed to initialize the context: quantized V cache was requested, but this requires Flash Attention');

const name = flags.alias ?? flags.model;
const open = new Set(['/health', '/v1/health', '/models', '/v1/models', '/']);
const total = { promptTokens: 0, predictedTokens: 0, promptSeconds: 0, predictedSeconds: 0, decodes: 0 };
const now = () => Math.floor(Date.now() / 1000);
const problem = (response, code, type, message) => sendJson(response, code, { error: { code, message, type } });
let engine;

function metrics() {
  const rows = [
    ['prompt_tokens_total', 'counter', 'Number of prompt tokens processed.', total.promptTokens],
    ['prompt_seconds_total', 'counter', 'Prompt process time', total.promptSeconds],
    ['tokens_predicted_total', 'counter', 'Number of generation tokens processed.', total.predictedTokens],
    ['tokens_predicted_seconds_total', 'counter', 'Predict process time', total.predictedSeconds],
    ['n_decode_total', 'counter', 'Total number of llama_decode() calls', total.decodes],
    [
      'prompt_tokens_seconds',
      'gauge',
      'Average prompt throughput in tokens/s.',
      total.promptTokens / (total.promptSeconds || 1),
    ],
    [
      'predicted_tokens_seconds',
      'gauge',
      'Average generation throughput in tokens/s.',
      total.predictedTokens / (total.predictedSeconds || 1),
    ],
    ['requests_processing', 'gauge', 'Number of requests processing.', engine.turns.running()],
    ['requests_deferred', 'gauge', 'Number of requests deferred.', engine.turns.waiting()],
  ];
  return rows
    .map(
      ([key, type, help, value]) =>
        `# HELP llamacpp:${key} ${help}\n# TYPE llamacpp:${key} ${type}\nllamacpp:${key} ${value}\n`,
    )
    .join('');
}

async function complete(request, response, chat) {
  const body = await readJson(request);
  if (chat && !Array.isArray(body.messages))
    return problem(response, 400, 'invalid_request_error', "'messages' is required");
  if (!chat && body.prompt === undefined) return problem(response, 400, 'invalid_request_error', '"prompt" is missing');
  const prompt = chat ? engine.chatPrompt(body.messages) : engine.textPrompt(String(body.prompt));
  if (prompt.length >= engine.perSlot) {
    const message = 'the request exceeds the available context size, try increasing it';
    return sendJson(response, 400, {
      error: {
        code: 400,
        message,
        type: 'exceed_context_size_error',
        n_prompt_tokens: prompt.length,
        n_ctx: engine.perSlot,
      },
    });
  }
  const signal = clientGone(response);
  const base = {
    id: `${chat ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '')}`,
    created: now(),
    model: body.model ?? name,
    system_fingerprint: 'b0-standin',
  };
  const object = chat ? 'chat.completion' : 'text_completion';
  const chunkObject = chat ? 'chat.completion.chunk' : 'text_completion';
  const events = body.stream ? openEvents(response) : undefined;
  const chunk = (piece, finish) =>
    events?.send({
      ...base,
      object: chunkObject,
      choices: [
        {
          index: 0,
          finish_reason: finish,
          ...(chat ? { delta: piece } : { text: piece.content ?? '', logprobs: null }),
        },
      ],
    });
  if (chat) chunk({ role: 'assistant', content: null }, null);
  const startedAt = Date.now();
  const made = await engine.generate(prompt, {
    maxTokens: body.max_tokens ?? body.max_completion_tokens ?? body.n_predict ?? -1,
    temperature: body.temperature ?? 0.8,
    seed: body.seed,
    stop: body.stop === undefined || body.stop === null ? [] : [body.stop].flat(),
    signal,
    onText: (content) => chunk({ content }, null),
  });
  total.promptTokens += prompt.length;
  total.predictedTokens += made.completionTokens;
  total.decodes += made.completionTokens;
  total.predictedSeconds += (Date.now() - startedAt) / 1000;
  if (made.finishReason === 'abort') return log(`srv          stop: cancel task, n_decoded = ${made.completionTokens}`);
  const counts = {
    completion_tokens: made.completionTokens,
    prompt_tokens: prompt.length,
    total_tokens: prompt.length + made.completionTokens,
  };
  if (events === undefined) {
    const answer = chat ? { message: { role: 'assistant', content: made.text } } : { text: made.text, logprobs: null };
    sendJson(response, 200, {
      ...base,
      object,
      choices: [{ index: 0, finish_reason: made.finishReason, ...answer }],
      usage: counts,
    });
  } else {
    chunk({}, made.finishReason);
    if (body.stream_options?.include_usage) events.send({ ...base, object: chunkObject, choices: [], usage: counts });
    events.done();
  }
  log(`srv  log_server_r: request: POST ${request.url} 200`);
}

async function embeddings(request, response) {
  if (!flags.embeddings) {
    return problem(
      response,
      501,
      'not_supported_error',
      'This server does not support embeddings. Start it with `--embeddings`',
    );
  }
  const body = await readJson(request);
  if (body.input === undefined)
    return problem(response, 400, 'invalid_request_error', '"input" or "content" must be provided');
  const made = [];
  for (const text of [body.input].flat()) made.push(await engine.embed(text));
  const tokens = made.reduce((sum, item) => sum + item.tokens, 0);
  total.promptTokens += tokens;
  const encode = (vector) =>
    body.encoding_format === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
  sendJson(response, 200, {
    object: 'list',
    model: body.model ?? name,
    data: made.map(({ vector }, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

const routes = {
  'GET /v1/models': (_, response) =>
    sendJson(response, 200, {
      object: 'list',
      data: [
        {
          id: name,
          object: 'model',
          created: now(),
          owned_by: 'llamacpp',
          meta: {
            n_ctx_train: engine.trainContextSize,
            n_embd: engine.embeddingSize,
            n_vocab: engine.vocabularySize,
            size: engine.sizeBytes,
          },
        },
      ],
    }),
  'GET /props': (_, response) =>
    sendJson(response, 200, {
      default_generation_settings: { n_ctx: engine.perSlot },
      total_slots: flags.parallel,
      model_path: flags.model,
      chat_template: engine.chatTemplate,
      build_info: 'b0-standin',
    }),
  'GET /slots': (_, response) =>
    flags.slots
      ? sendJson(
          response,
          200,
          Array.from({ length: flags.parallel }, (__, id) => ({
            id,
            n_ctx: engine.perSlot,
            is_processing: id < engine.turns.running(),
          })),
        )
      : problem(
          response,
          501,
          'not_supported_error',
          'This server does not support slots endpoint. Start it with `--slots`',
        ),
  'GET /metrics': (_, response) =>
    flags.metrics
      ? sendText(response, 200, metrics())
      : problem(
          response,
          501,
          'not_supported_error',
          'This server does not support metrics endpoint. Start it with `--metrics`',
        ),
  'POST /tokenize': async (request, response) =>
    sendJson(response, 200, { tokens: engine.tokenize((await readJson(request)).content ?? '') }),
  'POST /v1/chat/completions': (request, response) => complete(request, response, true),
  'POST /v1/completions': (request, response) => complete(request, response, false),
  'POST /v1/embeddings': embeddings,
};
routes['GET /models'] = routes['GET /v1/models'];
routes['POST /chat/completions'] = routes['POST /v1/chat/completions'];

async function answer(request, response) {
  const path = new URL(request.url, 'http://server').pathname;
  const given = request.headers.authorization?.replace(/^Bearer /, '') ?? request.headers['x-api-key'];
  if (keys.length > 0 && !open.has(path) && !keys.includes(given)) {
    return problem(response, 401, 'authentication_error', 'Invalid API Key');
  }
  if (engine === undefined) return problem(response, 503, 'unavailable_error', 'Loading model');
  if (path === '/health' || path === '/v1/health') return sendJson(response, 200, { status: 'ok' });
  const route = routes[`${request.method} ${path}`];
  if (route === undefined) return problem(response, 404, 'not_found_error', 'File Not Found');
  await route(request, response);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    log(`srv    operator(): got exception: ${error.message}`);
    if (response.headersSent) response.end();
    else if (error instanceof SyntaxError) problem(response, 400, 'invalid_request_error', error.message);
    else problem(response, 500, 'server_error', error.message);
  });
});
server.on('error', () => fail(`main: couldn't bind HTTP server socket, hostname: ${flags.host}, port: ${flags.port}`));
server.listen(flags.port, flags.host, async () => {
  log(
    `main: binding port with default address family\nmain: HTTP server is listening, hostname: ${flags.host}, port: ${flags.port}`,
  );
  log(`main: loading model\nsrv    load_model: loading model '${flags.model}'`);
  try {
    await sleep(Number(process.env.LLAMA_LOAD_DELAY_MS ?? 0));
    engine = await loadEngine(flags);
  } catch (error) {
    log(`llama_model_load: error loading model: ${error.message}`);
    log(`srv    load_model: failed to load model, '${flags.model}'`);
    fail('main: exiting due to model loading error');
  }
  log('main: model loaded');
  log(`main: server is listening on http://${flags.host}:${flags.port} - starting the main loop`);
});
