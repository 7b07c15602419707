import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { clientAddressHeader, listenOnControlSocket } from './control-socket.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-control-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const ask = (socketPath: string, headers: Record<string, string>): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ socketPath, path: '/auth/me', headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });

it("the client's address is the one that the worker saw, and the header goes no further", async () => {
  const path = join(dir, 'control.sock');
  const control = await listenOnControlSocket(path, (incoming, response) => {
    response.end(`${incoming.socket.remoteAddress} ${Object.hasOwn(incoming.headers, clientAddressHeader)}`);
  });
  expect(await ask(path, { [clientAddressHeader]: '192.0.2.7' })).toBe('192.0.2.7 false');
  await control.close();
});

it('the longest path that Linux takes is taken', async () => {
  const path = join(dir, 'x'.repeat(107 - dir.length - 1));
  const control = await listenOnControlSocket(path, (_incoming, response) => void response.end('here'));
  expect(await ask(path, {})).toBe('here');
  await control.close();
});

it('a data folder whose path is too long for a socket is named with its setting', async () => {
  const path = join(dir, 'é'.repeat(50), 'control.sock');
  await expect(listenOnControlSocket(path, () => undefined)).rejects.toMatchObject({
    code: 'setting_invalid',
    message: expect.stringContaining('CORTEX_DATA_DIR'),
  });
});
