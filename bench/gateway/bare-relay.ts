import { createServer } from 'node:http';
import { Agent } from 'undici';
import { announce } from './announce.ts';

/*
 * The least that a relay on node:http and undici can do: no key is checked, nothing is read, counted or written down. What
 * Cortex takes more than this is the price of what it does.
 */

const [origin = '', key = ''] = process.argv.slice(2);
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, pipelining: 1 });

const server = createServer((request, response) => {
  const { 'content-type': type, 'content-length': length } = request.headers;
  agent
    .request({
      origin,
      path: request.url ?? '/',
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        ...(type === undefined ? {} : { 'content-type': type }),
        ...(length === undefined ? {} : { 'content-length': length }),
      },
      body: request,
    })
    .then(
      ({ statusCode, headers, body }) => {
        for (const name of ['content-type', 'content-length']) {
          const value = headers[name];
          if (value !== undefined) response.setHeader(name, value);
        }
        response.writeHead(statusCode);
        body.on('error', () => response.destroy()).pipe(response);
      },
      () => response.destroy(),
    );
});
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  announce({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
