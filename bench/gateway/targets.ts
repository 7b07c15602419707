import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { freePort } from '../../tests/free-port.ts';
import { type Child, startAnnouncing, startListening } from './child.ts';

/** Something between the load and the mock. */
export interface Target extends Child {
  readonly name: string;
  readonly port: number;
  /** What a client sends to it. */
  readonly headers: Readonly<Record<string, string>>;
  /** The key by which the mock knows what came through it. */
  readonly key: string;
  /** It leaves the answer's bytes alone. */
  readonly exact: boolean;
  /** A header that it adds to each answer. */
  readonly marker: string | null;
}

export interface Places {
  /** Compiled files of this folder. */
  readonly scripts: string;
  /** Sources of this folder. */
  readonly sources: string;
  /** For what is written while it runs. */
  readonly work: string;
  /** A Postgres server for usage; null is the embedded database, whose thread shares the gateway's core. */
  readonly postgresUrl: string | null;
}

const listening = z.object({ port: z.number().int() });
// No target but Portkey gets this one past the mock, so a request that went around its target is refused.
const clientHeaders = { authorization: 'Bearer client' };

/** The mock; reached directly it is what added time is held against. */
export async function startMock({ scripts }: Places): Promise<Target> {
  const child = await startAnnouncing(join(scripts, 'mock-engine.js'), []);
  const { port } = listening.parse(child.said);
  const key = 'via-nothing';
  return {
    ...child,
    name: 'direct',
    port,
    key,
    headers: { authorization: `Bearer ${key}` },
    exact: true,
    marker: null,
  };
}

export async function startBareRelay({ scripts }: Places, mock: Target): Promise<Target> {
  const key = 'via-bare-relay';
  const child = await startAnnouncing(join(scripts, 'bare-relay.js'), [`http://127.0.0.1:${mock.port}`, key]);
  const { port } = listening.parse(child.said);
  return { ...child, name: 'bare relay', port, key, headers: clientHeaders, exact: true, marker: null };
}

/** Installs it on demand: nobody who only works on Cortex should have to download it. */
export async function startPortkey({ sources }: Places, mock: Target): Promise<Target> {
  const peers = join(sources, 'peers');
  const server = join(peers, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  if (!existsSync(server))
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', peers], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const port = await freePort();
  const child = await startListening(process.execPath, [server, `--port=${port}`, '--headless'], port, {
    NODE_ENV: 'production',
  });
  const key = 'via-portkey';
  const headers = {
    authorization: `Bearer ${key}`,
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${mock.port}/v1`,
  };
  return { ...child, name: 'Portkey', port, key, headers, exact: false, marker: 'x-portkey-last-used-option-index' };
}

export async function startNginx({ work }: Places, mock: Target, workers: number): Promise<Target> {
  const key = 'via-nginx';
  const port = await freePort();
  const folder = join(work, 'nginx');
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, nginxConfig({ folder, port, mockPort: mock.port, key, workers }));
  const child = await startListening('nginx', ['-p', folder, '-c', config, '-e', join(folder, 'error.log')], port);
  return { ...child, name: `nginx, ${workers} workers`, port, key, headers: clientHeaders, exact: true, marker: null };
}

interface NginxOptions {
  readonly folder: string;
  readonly port: number;
  readonly mockPort: number;
  readonly key: string;
  readonly workers: number;
}

const nginxConfig = ({ folder, port, mockPort, key, workers }: NginxOptions) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${workers};
pid ${folder}/pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  scgi_temp_path ${folder}/scgi;
  uwsgi_temp_path ${folder}/uwsgi;
  keepalive_requests 1000000000;
  upstream mock {
    server 127.0.0.1:${mockPort};
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${key}";
    }
  }
}
`;
