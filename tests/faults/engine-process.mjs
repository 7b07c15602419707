// An engine as a process of its own, to be killed or cut off: `node engine-process.mjs <address>` prints its URL. A question
// with "wait" in it gets no answer; all others a stream that never ends.
import { createServer } from 'node:http';

const [address] = process.argv.slice(2);
const event = (content) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'steady', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;

const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    if (request.method === 'GET') return response.end('{}');
    if (body.includes('wait')) return;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write(event('tick ')), 20);
    response.on('close', () => clearInterval(timer));
  });
});
server.listen(0, address, () => console.log(`http://${address}:${server.address().port}`));
