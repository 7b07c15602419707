import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeLargeModel } from '../fixtures/large-model.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
let tools = '';
let account: { username: string; password: string };

beforeAll(async () => {
  tools = await mkdtemp(join(tmpdir(), 'cortex-tools-'));
  const smi = join(tools, 'nvidia-smi');
  await writeFile(
    smi,
    '#!/bin/sh\necho "0, GPU-00000000-aaaa, NVIDIA RTX 4000 Ada, 20475, 4096, 16379, 550.54.15, 7"\n',
  );
  await chmod(smi, 0o755);
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock', PATH: `${tools}:${process.env.PATH ?? ''}` });
  account = await cortex.signInForGood();
  await mkdir(join(cortex.models, 'large'));
  await writeLargeModel(join(cortex.models, 'large/large.gguf'), 15);
});
afterAll(async () => {
  await cortex.stop();
  await rm(tools, { recursive: true, force: true });
});

it('shows where the memory goes, what would make it fit, and takes that over', async () => {
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, cortex.ui, account);

    await page.goto(`${cortex.ui}/system`);
    await page.getByText('0 · NVIDIA RTX 4000 Ada').waitFor();
    await page.getByText('Told by nvidia-smi.').waitFor();
    await expectFitForAll(page, 'system-gpus');

    await page.goto(`${cortex.ui}/models/add?step=configure&folder=large&file=large.gguf`);
    await page.getByText('llama.cpp options').click();
    await page.getByLabel('context size (tokens)').fill('65536');
    await page.getByLabel(/^gpu layers/i).fill('99');
    await page.getByRole('button', { name: 'Continue' }).click();
    const plan = page.getByTestId('memory-plan');
    await plan.getByText('does not fit', { exact: true }).waitFor();
    await plan.getByText('weights 14').first().waitFor();
    await plan.getByText('taken by others 4.0 GiB').waitFor();
    await plan.scrollIntoViewIfNeeded();
    await expectFitForAll(page, 'memory-plan-full');
    await plan.getByRole('button', { name: 'Apply: Shorten the context' }).click();
    await plan.getByText('fits', { exact: true }).waitFor();
    await plan.scrollIntoViewIfNeeded();
    await expectFitForAll(page, 'memory-plan-fits');
    expect(await page.locator('pre').first().textContent()).toMatch(/--ctx-size \d{4,5} /);
  } finally {
    await close();
  }
});

it("shows the plan on the model's page, and what was reported beside it", async () => {
  const { model } = await cortex.call('createModel', {
    body: { name: 'Large', served_name: 'large', folder: 'large', engine: 'llamacpp', file: 'large.gguf', options: {} },
  });
  const { plan, report } = await cortex.call('modelMemory', { params: { id: model.id } });
  expect(report).toBeNull();
  expect(plan).toMatchObject({
    fits: true,
    devices: [{ device: 'gpu', name: 'NVIDIA RTX 4000 Ada' }, { device: 'host' }],
  });
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, cortex.ui, account);
    await page.goto(`${cortex.ui}/models/${model.id}`);
    await page.getByText('Memory as the engine reported it').waitFor();
    await page.getByTestId('memory-plan').scrollIntoViewIfNeeded();
    await expectFitForAll(page, 'model-memory');

    const planned = { weights: 14.9e9, kv_cache: 1.5e9, activations: 3e8, graphs: 0, runtime: 0, cache_tokens: 11_520 };
    const reported = { ...planned, weights: 15e9, activations: 2.5e8, graphs: null, runtime: null };
    await page.route(`**/admin/models/${model.id}/memory`, (route) =>
      route.fulfill({ json: { plan, report: { at: new Date().toISOString(), planned, reported } } }),
    );
    await page.reload();
    const table = page.getByRole('table', { name: 'Planned and reported memory' });
    await table.getByText('+20 %').waitFor();
    await table.getByText('-0.7 %').waitFor();
    await table.scrollIntoViewIfNeeded();
    await expectFitForAll(page, 'model-memory-report');
  } finally {
    await close();
  }
});
