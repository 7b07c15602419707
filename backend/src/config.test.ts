import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';

let rootDir: string;
beforeEach(() => {
  rootDir = mkdtempSync(join(tmpdir(), 'cortex-config-'));
  mkdirSync(join(rootDir, 'backend'));
});
afterEach(() => rmSync(rootDir, { recursive: true, force: true }));

const envFile = (text: string) => writeFileSync(join(rootDir, 'backend/.env'), text);
const load = (env: Record<string, string> = {}) => loadConfig({ env, rootDir });

function refusal(env: Record<string, string> = {}) {
  try {
    load(env);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('settings', () => {
  it('have defaults that are valid', () => {
    const config = load();
    expect(config.settings).toMatchObject({ OFFLINE_MODE: false, GATEWAY_PORT: 8084, FRONTEND_PORT: 3001 });
    expect(config.dataDir).toBe(join(rootDir, '.cortex/data'));
    expect(config.databaseUrl).toBeNull();
  });

  it.each([
    ['True', true],
    ['true', true],
    ['1', true],
    ['YES', true],
    ['False', false],
    ['no', false],
    ['0', false],
  ])('read OFFLINE_MODE=%s', (text, value) => {
    envFile(`OFFLINE_MODE=${text}\n`);
    expect(load().settings.OFFLINE_MODE).toBe(value);
  });

  it('come from the environment before backend/.env, and an empty variable counts as not set', () => {
    envFile('GATEWAY_PORT=9000\nFRONTEND_PORT=9001\n');
    const { settings } = load({ GATEWAY_PORT: '9100', FRONTEND_PORT: '' });
    expect(settings).toMatchObject({ GATEWAY_PORT: 9100, FRONTEND_PORT: 9001 });
  });

  it("take the guide's lines with a comment behind the value", () => {
    envFile(
      'OFFLINE_MODE=True                    # Prevent all internet access for images\nIMAGE_PULL_TIMEOUT=600  # x',
    );
    expect(load().settings).toMatchObject({ OFFLINE_MODE: true, IMAGE_PULL_TIMEOUT: 600 });
  });

  it.each([
    ['OFFLINE_MODE', 'maybe'],
    ['GATEWAY_PORT', '80840'],
    ['GATEWAY_PORT', '8084x'],
    ['CORTEX_MODELS_DIR', 'models'],
    ['DOCKER_HOST', '/var/run/docker.sock'],
    ['LOG_LEVEL', 'loud'],
    ['VLLM_IMAGE', 'not an image'],
    ['CORTEX_REGISTRY_MIRRORS', 'docker.io'],
  ])('stop the start at %s=%s, with all that mends it', (name, value) => {
    envFile(`${name}=${value}\n`);
    const { message } = refusal();
    expect(message).toContain(`${name}=${value}`);
    expect(message).toContain('backend/.env');
    expect(message).toContain('Allowed:');
  });

  it('name the environment where the wrong value came from there', () => {
    expect(refusal({ GATEWAY_PORT: 'x' }).message).toContain('(from the environment)');
  });

  it('never show a secret', () => {
    const { message } = refusal({ DATABASE_URL: 'mysql://root:hunter2@db/x' });
    expect(message).not.toContain('hunter2');
  });

  it("that do not exist but bear Cortex's name are warned of", () => {
    expect(load({ CORTEX_MODELS_DIRR: '/x' }).warnings).toEqual([expect.stringContaining('CORTEX_MODELS_DIRR')]);
  });
});

describe('a password in a file of its own', () => {
  it('goes into the URL, whatever characters it has', () => {
    const file = join(rootDir, 'password');
    writeFileSync(file, 'p@ss/w:rd%\n');
    const { databaseUrl } = load({ DATABASE_URL: 'postgres://cortex@db:5432/cortex', DATABASE_PASSWORD_FILE: file });
    expect(decodeURIComponent(new URL(databaseUrl ?? '').password)).toBe('p@ss/w:rd%');
  });

  it('stands back for one that the URL has', () => {
    const file = join(rootDir, 'password');
    writeFileSync(file, 'of the file');
    const { redisUrl } = load({ REDIS_URL: 'redis://:own@cache:6379', REDIS_PASSWORD_FILE: file });
    expect(redisUrl).toBe('redis://:own@cache:6379');
  });

  it('stops the start where it cannot be read', () => {
    const { message } = refusal({ DATABASE_URL: 'postgres://c@db/c', DATABASE_PASSWORD_FILE: '/nowhere/password' });
    expect(message).toContain('DATABASE_PASSWORD_FILE=/nowhere/password');
  });
});
