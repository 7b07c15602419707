import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../backend/src/routing/table.ts';
import { sendFrames } from '../fixtures/scripted-engine.ts';
import { ServedGateway } from './served-gateway.ts';

const path = '/v1/chat/completions';
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
let folder: string;
const pem = (name: string) => readFileSync(join(folder, name), 'utf8');
/** A certificate that is its own authority. */
function makeCertificate(name: string, host: string): void {
  const names = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...names, ...files], { stdio: 'ignore' });
}

let gateway: ServedGateway;
let server: Server;
let seen: { path: string | undefined; authorization: string | undefined }[];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cortex-tls-'));
  makeCertificate('good', 'localhost');
  makeCertificate('other', 'elsewhere.test');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  seen = [];
});
afterEach(async () => {
  await gateway.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Serves `chatty` from a server outside, whose certificate is `certificate`; only `ca` is trusted. */
async function serveFromOutside(certificate: string, ca: string | null): Promise<void> {
  server = createServer({ key: pem(`${certificate}.key`), cert: pem(`${certificate}.crt`) }, (request, response) => {
    seen.push({ path: request.url, authorization: request.headers.authorization });
    request.resume().on('end', () => {
      void sendFrames(response, ['data: {"choices":[]}\n\n', 'data: [DONE]\n\n']).then(() => response.end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://localhost:${(server.address() as AddressInfo).port}/base/`;
  const trusted = ca === null ? null : pem(`${ca}.crt`);
  const endpoint: Endpoint = { id: 'e', url, apiKey: 'its-own-key', model: 'far', ca: trusted, external: true };
  gateway.table.replace({
    models: [],
    externals: [{ ...endpoint, servedName: 'chatty', task: 'generate', createdAtMs: 0 }],
  });
}

describe('an external endpoint over TLS', () => {
  it('is asked under its own path, with its own key, where its authority is the one that was named', async () => {
    await serveFromOutside('good', 'good');
    for (const _ of [1, 2]) {
      const answer = await gateway.post(path, { ...chat, stream: true });
      expect(await answer.text()).toBe('data: {"choices":[]}\n\ndata: [DONE]\n\n');
    }
    const asked = { path: `/base${path}`, authorization: 'Bearer its-own-key' };
    expect(seen).toEqual([asked, asked]);
  });

  it.each([
    ['whose authority is another one', 'good', 'other'],
    ["whose authority is none of the machine's", 'good', null],
    ['whose certificate is for another host', 'other', 'other'],
  ])('%s gets neither the question nor the key', async (_what, certificate, ca) => {
    await serveFromOutside(certificate, ca);
    const answer = await gateway.post(path, chat);
    expect([answer.status, await answer.json()]).toMatchObject([502, { error: { code: 'engine_unreachable' } }]);
    expect(seen).toEqual([]);
  });
});
