// What the engine stand-ins share: JSON answers, request bodies and server-sent events.

export function sendJson(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

export function sendText(response, status, text, type = 'text/plain; version=0.0.4; charset=utf-8') {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

export async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

export function openEvents(response) {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    connection: 'keep-alive',
  });
  return {
    send: (event) => response.write(`data: ${JSON.stringify(event)}\n\n`),
    done: () => response.end('data: [DONE]\n\n'),
  };
}

/** A signal that fires when the client goes away before the answer is whole. */
export function clientGone(response) {
  const controller = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

export const contentText = (content) =>
  typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('');

/** Takes turns: at most `places` at once, the rest wait in order. */
export function makeTurns(places) {
  let free = places;
  const waiting = [];
  return {
    async take(work) {
      if (free > 0) free -= 1;
      else await new Promise((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free += 1;
        else next();
      }
    },
    waiting: () => waiting.length,
    running: () => places - free,
  };
}
