// Stands in for vLLM's OpenAI server: its command line, paths, metric names and log lines, over a toy that echoes.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientGone, contentText, openEvents, readJson, sendJson, sendText } from './http.mjs';

const version = process.env.VLLM_STAND_IN_VERSION ?? '0.6.3';
const valued =
  `model host port served-model-name max-model-len gpu-memory-utilization tensor-parallel-size pipeline-parallel-size
  max-num-seqs max-num-batched-tokens dtype api-key task download-dir quantization kv-cache-dtype swap-space cpu-offload-gb tokenizer
  revision seed chat-template load-format block-size root-path uvicorn-log-level max-log-len device`.split(/\s+/);
const bare =
  `trust-remote-code enforce-eager enable-prefix-caching enable-chunked-prefill disable-log-requests disable-log-stats
  enable-auto-tool-choice disable-custom-all-reduce`.split(/\s+/);
const refuse = (message) => {
  process.stderr.write(
    `usage: api_server.py [-h] [--host HOST] [--port PORT] [--model MODEL] ...\napi_server.py: error: ${message}\n`,
  );
  process.exit(2);
};
const info = (line) => {
  const stamp = new Date().toISOString().slice(5, 19).replace('T', ' ');
  process.stderr.write(`INFO ${stamp} api_server.py:528] ${line}\n`);
};
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));

// 0.6.3 has no --task: it tells an embedding model by its architecture.
const hasTask = !/^0\.6\.[0-3]/.test(version);
const asArgparse = (name, metavar) => {
  const head = `  --${name}${metavar ? ` ${name.toUpperCase().replaceAll('-', '_')}` : ''}`;
  const help = name.replaceAll('-', ' ');
  return head.length > 22 ? `${head}\n${' '.repeat(24)}${help}` : `${head.padEnd(24)}${help}`;
};
if (!hasTask) valued.splice(valued.indexOf('task'), 1);
if (process.argv.includes('--help') || process.argv.includes('-h')) {
  const all = [...valued.map((name) => asArgparse(name, true)), ...bare.map((name) => asArgparse(name, false))];
  process.stdout.write(
    `usage: api_server.py [-h] [--host HOST] [--port PORT] [--model MODEL] ...\n\nvLLM OpenAI-Compatible RESTful API server.\n\noptions:\n  -h, --help            show this help message and exit\n${all.join('\n')}\n`,
  );
  process.exit(0);
}
if (process.argv.some((arg) => arg.startsWith('--help='))) {
  refuse(`argument -h/--help: ignored explicit argument '${process.argv.at(-1).slice('--help='.length)}'`);
}

const flags = { host: '0.0.0.0', port: '8000', model: 'facebook/opt-125m' };
const unknown = [];
const args = process.argv
  .slice(2)
  .flatMap((arg) =>
    /^--[^=]+=/.test(arg) ? [arg.slice(0, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)] : [arg],
  );
for (let index = 0; index < args.length; index++) {
  const name = args[index].replace(/^--/, '').replaceAll('_', '-');
  if (bare.includes(name)) flags[name] = true;
  else if (valued.includes(name)) {
    if (args[index + 1] === undefined || args[index + 1].startsWith('--'))
      refuse(`argument --${name}: expected one argument`);
    index += 1;
    flags[name] = args[index];
  } else unknown.push(args[index]);
}
if (unknown.length > 0) refuse(`unrecognized arguments: ${unknown.join(' ')}`);
for (const name of ['port', 'max-model-len', 'tensor-parallel-size', 'max-num-seqs']) {
  if (flags[name] !== undefined && !/^\d+$/.test(flags[name]))
    refuse(`argument --${name}: invalid int value: '${flags[name]}'`);
}
if (flags.task !== undefined && !['auto', 'generate', 'embedding'].includes(flags.task)) {
  refuse(`argument --task: invalid choice: '${flags.task}' (choose from 'auto', 'generate', 'embedding')`);
}
info(`vLLM API server version ${version}`);
info(`args: Namespace(model='${flags.model}', port=${flags.port})`);
if (!existsSync(join(flags.model, 'config.json'))) {
  const reason = existsSync(flags.model)
    ? `ValueError: No supported config format found in ${flags.model}`
    : `OSError: We couldn't connect to 'https://huggingface.co' to load this file, couldn't find it in the cached files and it looks like ${flags.model} is not the path to a directory containing a file named config.json.`;
  process.stderr.write(
    `Traceback (most recent call last):\n  File "/usr/local/lib/python3.12/dist-packages/vllm/entrypoints/openai/api_server.py", line 585, in <module>\n    uvloop.run(run_server(args))\n${reason}\n`,
  );
  process.exit(1);
}

const apiKey = flags['api-key'] ?? process.env.VLLM_API_KEY;
const model = flags['served-model-name'] ?? flags.model;
const maxLength = Number(flags['max-model-len'] ?? 4096);
const { architectures = [] } = JSON.parse(readFileSync(join(flags.model, 'config.json'), 'utf8'));
const isEmbedder = architectures.length > 0 && !architectures.some((name) => /ForCausalLM|LMHeadModel/.test(name));
const embeds = flags.task === 'embedding' || (!hasTask && isEmbedder);
const total = { prompt: 0, generation: 0, success: 0, running: 0 };
const now = () => Math.floor(Date.now() / 1000);
// The toy tokenizer: a token is up to four characters of a word with the space before it, or one other character.
const tokenize = (text) => text.match(/\s?[\p{L}\p{N}]{1,4}|[\s\S]/gu) ?? [];
const problem = (response, code, message, type = 'BadRequestError') =>
  sendJson(response, code, { object: 'error', message, type, param: null, code });

function metrics() {
  const label = `{model_name="${model}"}`;
  const rows = [
    ['num_requests_running', 'gauge', total.running],
    ['num_requests_waiting', 'gauge', 0],
    ['gpu_cache_usage_perc', 'gauge', 0],
    ['prompt_tokens_total', 'counter', total.prompt],
    ['generation_tokens_total', 'counter', total.generation],
    ['request_success_total', 'counter', total.success],
  ];
  return rows.map(([key, type, value]) => `# TYPE vllm:${key} ${type}\nvllm:${key}${label} ${value}\n`).join('');
}

async function complete(request, response, chat) {
  const body = await readJson(request);
  if (body.model !== model)
    return problem(response, 404, `The model \`${body.model}\` does not exist.`, 'NotFoundError');
  if (embeds) return problem(response, 400, 'The model does not support this API');
  const asked = chat ? (body.messages ?? []).map((message) => contentText(message.content)) : [String(body.prompt)];
  const promptTokens = tokenize(asked.join('\n')).length;
  if (promptTokens >= maxLength) {
    return problem(
      response,
      400,
      `This model's maximum context length is ${maxLength} tokens. However, you requested ${promptTokens} tokens in the messages. Please reduce the length of the messages.`,
    );
  }
  const whole = tokenize(`[synthetic vLLM stand-in] You said: ${asked.at(-1)}`);
  const limit = body.max_tokens ?? body.max_completion_tokens ?? (chat ? maxLength - promptTokens : 16);
  let tokens = whole.slice(0, limit);
  let finish = tokens.length < whole.length ? 'length' : 'stop';
  for (const word of [body.stop ?? []].flat()) {
    const at = tokens.join('').indexOf(word);
    if (at >= 0) [tokens, finish] = [tokenize(tokens.join('').slice(0, at)), 'stop'];
  }
  const base = { id: `${chat ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '')}`, created: now(), model };
  const usage = {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + tokens.length,
    completion_tokens: tokens.length,
  };
  const signal = clientGone(response);
  total.running += 1;
  try {
    if (body.stream) {
      const events = openEvents(response);
      const object = chat ? 'chat.completion.chunk' : 'text_completion';
      const send = (text, reason, role) =>
        events.send({
          ...base,
          object,
          choices: [
            {
              index: 0,
              ...(chat ? { delta: role ? { role, content: '' } : { content: text } } : { text }),
              logprobs: null,
              finish_reason: reason,
            },
          ],
        });
      if (chat) send('', null, 'assistant');
      for (const token of tokens) {
        await sleep(Number(process.env.VLLM_TOKEN_DELAY_MS ?? 2));
        if (signal.aborted) return info(`Aborted request ${base.id}.`);
        send(token, null);
      }
      send('', finish);
      if (body.stream_options?.include_usage) events.send({ ...base, object, choices: [], usage });
      events.done();
    } else {
      const content = tokens.join('');
      sendJson(response, 200, {
        ...base,
        object: chat ? 'chat.completion' : 'text_completion',
        choices: [
          {
            index: 0,
            ...(chat ? { message: { role: 'assistant', content, tool_calls: [] } } : { text: content }),
            logprobs: null,
            finish_reason: finish,
          },
        ],
        usage,
      });
    }
    total.prompt += promptTokens;
    total.generation += tokens.length;
    total.success += 1;
  } finally {
    total.running -= 1;
  }
}

async function embeddings(request, response) {
  const body = await readJson(request);
  if (body.model !== model)
    return problem(response, 404, `The model \`${body.model}\` does not exist.`, 'NotFoundError');
  if (!embeds) return problem(response, 400, 'The model does not support Embeddings API');
  const made = [body.input].flat().map((text) => tokenize(String(text)));
  const count = made.reduce((sum, tokens) => sum + tokens.length, 0);
  const vector = (tokens) => {
    const sums = new Array(16).fill(0);
    tokens.forEach((token, at) => {
      sums[at % 16] += [...token].reduce((sum, character) => sum + character.codePointAt(0), 0);
    });
    const length = Math.hypot(...sums) || 1;
    const unit = sums.map((value) => value / length);
    return body.encoding_format === 'base64' ? Buffer.from(Float32Array.from(unit).buffer).toString('base64') : unit;
  };
  total.prompt += count;
  sendJson(response, 200, {
    id: `embd-${randomUUID().replaceAll('-', '')}`,
    object: 'list',
    created: now(),
    model,
    data: made.map((tokens, index) => ({ index, object: 'embedding', embedding: vector(tokens) })),
    usage: { prompt_tokens: count, total_tokens: count, completion_tokens: 0 },
  });
}

const routes = {
  'GET /health': (_, response) => response.writeHead(200).end(),
  'GET /version': (_, response) => sendJson(response, 200, { version }),
  'GET /metrics': (_, response) => sendText(response, 200, metrics()),
  'GET /v1/models': (_, response) =>
    sendJson(response, 200, {
      object: 'list',
      data: [
        {
          id: model,
          object: 'model',
          created: now(),
          owned_by: 'vllm',
          root: flags.model,
          parent: null,
          max_model_len: maxLength,
        },
      ],
    }),
  'POST /v1/chat/completions': (request, response) => complete(request, response, true),
  'POST /v1/completions': (request, response) => complete(request, response, false),
  'POST /v1/embeddings': embeddings,
};
const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://server').pathname;
  response.on('finish', () => process.stdout.write(`INFO:     ${request.method} ${path} ${response.statusCode}\n`));
  try {
    if (apiKey && path.startsWith('/v1') && request.headers.authorization !== `Bearer ${apiKey}`)
      return sendJson(response, 401, { error: 'Unauthorized' });
    const route = routes[`${request.method} ${path}`];
    if (route === undefined) return sendJson(response, 404, { detail: 'Not Found' });
    await route(request, response);
  } catch (error) {
    if (response.headersSent) response.end();
    else problem(response, 400, error.message);
  }
});
await sleep(Number(process.env.VLLM_LOAD_DELAY_MS ?? 300));
server.listen(Number(flags.port), flags.host, () => {
  process.stderr.write(
    `INFO:     Application startup complete.\nINFO:     Uvicorn running on http://${flags.host}:${flags.port} (Press CTRL+C to quit)\n`,
  );
});
