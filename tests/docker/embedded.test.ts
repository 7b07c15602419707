import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

describe('embedded mode', () => {
  const cortex: EmbeddedCortex[] = [];
  afterEach(async () => {
    for (const one of cortex.splice(0)) await one.stop();
  });

  it('serves a model from a folder to an OpenAI client where Docker is present', async () => {
    const server = new EmbeddedCortex();
    cortex.push(server);
    await server.start();
    await mkdir(join(server.models, 'tiny'));
    await writeTinyModel(join(server.models, 'tiny/tiny.gguf'));
    await server.signIn();
    const { model } = await server.call('createModel', {
      body: {
        engine: 'llamacpp',
        name: 'Tiny',
        served_name: 'tiny',
        task: 'generate',
        folder: 'tiny',
        file: 'tiny.gguf',
      },
    });
    await server.call('startModel', { params: { id: model.id } });
    await expect
      .poll(async () => (await server.call('getModel', { params: { id: model.id } })).model.state, {
        timeout: 90_000,
        interval: 500,
      })
      .toBe('ready');
    const { token } = await server.call('createKey', { body: { name: 'test' } });
    const client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: token, maxRetries: 0 });
    const stream = await client.chat.completions.create({
      model: 'tiny',
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 12,
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text.length).toBeGreaterThan(0);
    await expect
      .poll(async () => (await server.call('listUsage')).records[0]?.completion_tokens ?? 0, { timeout: 10_000 })
      .toBeGreaterThan(0);
    await server.call('stopModel', { params: { id: model.id } });
    await expect
      .poll(async () => (await server.call('getModel', { params: { id: model.id } })).model.state, { timeout: 60_000 })
      .toBe('stopped');
    await server.call('deleteModel', { params: { id: model.id } });
  });

  it('refuses a folder without a model, in words, and makes nothing', async () => {
    const server = new EmbeddedCortex();
    cortex.push(server);
    await server.start();
    await mkdir(join(server.models, 'notes'));
    await writeFile(join(server.models, 'notes/broken.gguf'), 'not a model');
    await server.signIn();
    const body = { engine: 'llamacpp', name: 'X', served_name: 'x', folder: 'notes', file: 'broken.gguf' } as const;
    await expect(server.call('createModel', { body })).rejects.toThrow(
      /does not start with the letters GGUF.*folder_without_model/,
    );
    await expect(server.call('createModel', { body: { ...body, folder: '../data' } })).rejects.toThrow(
      /folder_outside/,
    );
    expect((await server.call('listModels')).models).toEqual([]);
  });

  it('starts without Docker and says plainly that no Engine was found and how to get one', async () => {
    const server = new EmbeddedCortex();
    cortex.push(server);
    await server.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
    expect(await (await fetch(server.ui)).text()).toContain('<div id="root"');
    await server.signIn();
    const { docker } = await server.call('systemSummary');
    expect(docker.available).toBe(false);
    expect(docker.problem).toContain('No Docker Engine was found');
    expect(docker.hint).toContain('docker.io');
  });
});
