import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { ScriptedEngine, sendJson } from '../fixtures/scripted-engine.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn, signIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
const engine = new ScriptedEngine();
let account: { username: string; password: string };

beforeAll(async () => {
  // Well, as its health checks see it; it begins every answer and goes on with none.
  engine.script = (response, { path }) => {
    if (path === '/v1/models') sendJson(response, { object: 'list', data: [] });
    else response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  };
  await engine.start();
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  account = await cortex.signInForGood();
});
afterAll(async () => {
  await cortex.stop();
  await engine.close();
});

async function clear(): Promise<void> {
  const { aliases, endpoints, limits, serving } = await cortex.call('getRouting');
  for (const { name } of aliases) await cortex.call('deleteAlias', { params: { name } });
  for (const { id } of endpoints) await cortex.call('deleteEndpoint', { params: { id } });
  for (const name of Object.keys(serving))
    await cortex.call('setServing', { body: { served_name: name, settings: {} } });
  for (const { subject, id } of limits) await cortex.call('setLimit', { body: { subject, id } });
}
const addEndpoint = (name: string, servedName: string) =>
  cortex.call('createEndpoint', { body: { name, served_name: servedName, url: engine.url, api_key: 'secret' } });

/** A signed-in browser on the page; a script that breaks there is a failure. */
async function onPage(path: string, body: (page: Page) => Promise<void>): Promise<void> {
  const { context, close } = await openChromium();
  try {
    const broken: string[] = [];
    context.on('weberror', (error) => broken.push(error.error().message));
    const page = await openSignedIn(context, cortex.ui + path, account);
    await body(page);
    expect(broken).toEqual([]);
  } finally {
    await close();
  }
}
const rowOf = (page: Page, table: string, text: string) =>
  page.getByRole('table', { name: table }).getByRole('row').filter({ hasText: text });

describe('the pages Routing and Limits', () => {
  it('say what they are for while there is nothing', async () => {
    await clear();
    await onPage('/routing', async (page) => {
      await page.getByText('Nothing to route yet').waitFor();
      await expectFitForAll(page, 'routing-empty');
      await page.getByRole('link', { name: 'Limits' }).click();
      await page.getByText('No limit yet').waitFor();
      await expectFitForAll(page, 'limits-empty');
    });
  });

  it('can be used by everyone and fit every width when they are full', async () => {
    await clear();
    await addEndpoint('gpu-1', 'org/a-model-with-a-rather-long-name-for-a-table');
    await addEndpoint('gpu-2', 'org/a-model-with-a-rather-long-name-for-a-table');
    await addEndpoint('gpu-3', 'small');
    await cortex.call('setAlias', {
      body: {
        name: 'team/default',
        targets: [
          { served_name: 'small', weight: 3 },
          { served_name: 'gone', weight: 1 },
        ],
      },
    });
    await cortex.call('setServing', {
      body: {
        served_name: 'small',
        settings: {
          max_concurrent: 8,
          idle_timeout_seconds: 60,
          fallbacks: ['org/a-model-with-a-rather-long-name-for-a-table'],
          parameters: { temperature: { default: 0.7, max: 1 }, logprobs: { forbid: true } },
        },
      },
    });
    await cortex.call('setLimit', { body: { subject: 'model', id: 'small', requests_per_minute: 600 } });
    const { user } = await cortex.call('me');
    await cortex.call('setLimit', {
      body: { subject: 'user', id: user.id, tokens_per_day: 2_000_000, tokens_per_month: 40_000_000 },
    });
    await onPage('/routing', async (page) => {
      await page.getByText('org/a-model').first().waitFor();
      await expectFitForAll(page, 'routing-full');
      for (const [name, path] of [
        ['routing-endpoint', '/routing?add=endpoint'],
        ['routing-alias', '/routing?alias=team%2Fdefault'],
        ['routing-serving', '/routing?serving=small'],
        ['limits-form', '/limits?edit=model+small'],
        ['limits-choose', '/limits?edit='],
      ] as const) {
        await page.goto(cortex.ui + path);
        await page.getByRole('dialog').waitFor();
        await expectFitForAll(page, name);
      }
      await page.goto(`${cortex.ui}/limits`);
      await page.getByRole('table', { name: 'Limits' }).waitFor();
      await expectFitForAll(page, 'limits-full');
      await page.goto(`${cortex.ui}/nowhere`);
      await page.getByText('Nothing is at this address').waitFor();
      await expectFitForAll(page, 'not-found');
    });
  });
});

describe('the page Routing', () => {
  it('says in words which replica fails, and what that means for the name', async () => {
    await clear();
    await addEndpoint('gpu-1', 'large');
    const seen = await cortex.call('getRouting');
    const failing = { id: 'gpu-2', external: true, health: 'failing' as const };
    const ok = { id: 'gpu-1', external: true, health: 'ok' as const };
    const base = { task: 'generate' as const, state: 'ready' as const };
    const models: typeof seen.models = [
      { ...base, served_name: 'half', replicas: [ok, failing] },
      { ...base, served_name: 'down', replicas: [failing] },
      { ...base, served_name: 'still-loading', state: 'loading', replicas: [] },
    ];
    await onPage('/models', async (page) => {
      await page.route('**/admin/routing', (route) => route.fulfill({ json: { ...seen, models } }));
      await page.getByRole('link', { name: 'Routing' }).click();
      await rowOf(page, 'Served names', 'half').waitFor();
      expect(await rowOf(page, 'Served names', 'half').innerText()).toMatch(/ready.*1 of 2 replicas.*failing\s+gpu-2/s);
      expect(await rowOf(page, 'Served names', 'down').innerText()).toMatch(/failing.*no replica answers/s);
      expect(await rowOf(page, 'Served names', 'still-loading').innerText()).toMatch(/loading.*none/s);
      await expectFitForAll(page, 'routing-failing');
    });
  });

  it('says what the server said when it cannot be read, and tries again', async () => {
    await clear();
    await onPage('/models', async (page) => {
      const error = { message: 'The database does not answer.', hint: 'make logs shows the cause.' };
      const json = {
        error: { ...error, type: 'server_error', code: 'database_unavailable', param: null, request_id: 'req_1' },
      };
      await page.route('**/admin/routing', (route) => route.fulfill({ status: 400, json }));
      await page.getByRole('link', { name: 'Routing' }).click();
      await page.getByText('The database does not answer.').waitFor();
      await page.getByText('make logs shows the cause.').waitFor();
      await expectFitForAll(page, 'routing-failure');
      await page.unroute('**/admin/routing');
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByText('Nothing to route yet').waitFor();
    });
  });

  it('is not offered to those who may not change it', async () => {
    await clear();
    await addEndpoint('gpu-1', 'large');
    const me = await cortex.call('me');
    await onPage('/models', async (page) => {
      await page.route('**/auth/me', (route) =>
        route.fulfill({ json: { ...me, rights: ['models:read', 'chat'] satisfies typeof me.rights } }),
      );
      await page.goto(`${cortex.ui}/routing`);
      await rowOf(page, 'Served names', 'large').waitFor();
      expect(await page.getByRole('navigation', { name: 'Main' }).innerText()).not.toMatch(/Routing|Limits|API keys/);
      expect(await page.getByRole('main').getByRole('button').count()).toBe(0);
      expect(await page.getByRole('main').getByRole('link').count()).toBe(0);
    });
  });

  it('adds an endpoint, says at the field what the server refuses, and never shows the key again', async () => {
    await clear();
    await onPage('/routing', async (page) => {
      await page.getByRole('button', { name: 'Add endpoint' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name', { exact: true }).fill('gpu-1');
      await dialog.getByLabel('Address').fill('not an address');
      await dialog.getByLabel('Answers for').fill('llama');
      await dialog.getByLabel('API key').fill('sk-very-secret');
      await dialog.getByRole('button', { name: 'Add endpoint' }).click();
      await dialog.getByText('a URL such as http://10.0.0.5:8000').waitFor();
      expect(await dialog.getByLabel('Address').getAttribute('aria-invalid')).toBe('true');
      expect(await dialog.getByLabel('Address').evaluate((input) => input === document.activeElement)).toBe(true);
      await dialog.getByLabel('Address').fill(engine.url);
      await dialog.getByRole('button', { name: 'Add endpoint' }).click();
      await dialog.waitFor({ state: 'detached' });
      const row = rowOf(page, 'External endpoints', 'gpu-1');
      expect(await row.innerText()).toMatch(/llama.*set/s);
      expect(await rowOf(page, 'Served names', 'llama').innerText()).toMatch(/ready.*ok.*gpu-1.*external/s);
      expect(await page.content()).not.toContain('sk-very-secret');

      await page.getByRole('link', { name: 'Change gpu-1' }).click();
      expect(await dialog.getByLabel('API key').inputValue()).toBe('');
      await dialog.getByLabel('Address').fill('http://10.0.0.9:8000');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.getByText('the key that is kept was given for the old address').waitFor();
      await dialog.getByLabel('Address').fill(engine.url);
      await dialog.getByLabel('Model there').fill('llama-3');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(await row.innerText()).toMatch(/llama-3.*set/s);

      await page.getByRole('button', { name: 'Remove gpu-1' }).click();
      await dialog.getByText('Nothing else answers for llama').waitFor();
      await dialog.getByRole('button', { name: 'Remove' }).click();
      await page.getByText('Nothing to route yet').waitFor();
    });
  });

  it('makes, changes and deletes an alias with weights', async () => {
    await clear();
    await addEndpoint('gpu-1', 'large');
    await addEndpoint('gpu-2', 'small');
    await onPage('/routing', async (page) => {
      await page.getByRole('button', { name: 'New alias' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name', { exact: true }).fill('small');
      await dialog.getByRole('button', { name: 'Create alias' }).click();
      await dialog.getByText("A model is served as 'small' already.").waitFor();
      await dialog.getByLabel('Name', { exact: true }).fill('team/chat');
      await dialog.getByRole('button', { name: 'Add a target' }).click();
      await dialog.getByLabel('Weight').first().fill('3');
      await dialog.getByText('75 %').waitFor();
      await dialog.getByRole('button', { name: 'Create alias' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(await rowOf(page, 'Aliases', 'team/chat').innerText()).toMatch(/75 %\s*large\s*25 %\s*small/);
      await page.getByRole('link', { name: 'Change team/chat' }).click();
      await dialog.getByRole('button', { name: 'Remove small' }).click();
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect((await cortex.call('getRouting')).aliases).toEqual([
        { name: 'team/chat', targets: [{ served_name: 'large', weight: 3 }] },
      ]);
      await page.getByRole('button', { name: 'Delete team/chat' }).click();
      await dialog.getByRole('button', { name: 'Delete' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect((await cortex.call('getRouting')).aliases).toEqual([]);
    });
  });

  it('sets how a name is served, with fallbacks and rules for parameters, and puts it back', async () => {
    await clear();
    await addEndpoint('gpu-1', 'served-here');
    await addEndpoint('gpu-2', 'substitute');
    await onPage('/routing', async (page) => {
      const dialog = page.getByRole('dialog');
      await page.getByRole('link', { name: 'Settings of served-here' }).click();
      await dialog.getByLabel('Answered at a time').fill('4');
      await dialog.getByLabel('Longest silence, s').fill('30');
      await dialog.getByLabel('Add a fallback').selectOption('substitute');
      await dialog.getByRole('button', { name: 'Add a rule' }).click();
      await dialog.getByLabel('Parameter', { exact: true }).fill('temperature');
      await dialog.getByLabel('Rule', { exact: true }).selectOption('at most');
      await dialog.getByLabel('Value').fill('hot');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.getByText('expected number').waitFor();
      await dialog.getByLabel('Value').fill('0.9');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      const { serving } = await cortex.call('getRouting');
      expect(serving['served-here']).toMatchObject({
        max_concurrent: 4,
        idle_timeout_seconds: 30,
        fallbacks: ['substitute'],
        parameters: { temperature: { max: 0.9 } },
      });
      const row = rowOf(page, 'Served names', 'gpu-1');
      expect(await row.innerText()).toContain('4 at a time · timeouts · 1 fallback · 1 parameter rule');
      await page.getByRole('link', { name: 'Settings of served-here' }).click();
      await page.reload();
      expect(await dialog.getByLabel('Value').inputValue()).toBe('0.9');
      await dialog.getByRole('button', { name: 'Put everything back to usual' }).click();
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(await row.innerText()).toContain('as usual');
    });
  });
});

describe('the page Limits', () => {
  it('sets, shows and removes limits of a key that is found by its name', async () => {
    await clear();
    const { key } = await cortex.call('createKey', { body: { name: 'support-bot' } });
    await onPage('/limits', async (page) => {
      const dialog = page.getByRole('dialog');
      await page.getByRole('button', { name: 'Set a limit' }).click();
      await dialog.getByLabel('Whose').selectOption(`support-bot (${key.prefix}…)`);
      await dialog.getByLabel('Requests/min').fill('60');
      await dialog.getByLabel('Tokens/day').fill('1.5');
      await dialog.getByLabel('Tokens/day').evaluate((input) => input.closest('form')?.setAttribute('novalidate', ''));
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.getByText('expected int').waitFor();
      await dialog.getByLabel('Tokens/day').fill('1500000');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      const row = rowOf(page, 'Limits', 'support-bot');
      expect(await row.innerText()).toMatch(/API key.*60.*1,500,000/s);

      await page.goto(`${cortex.ui}/keys`);
      await page.getByRole('link', { name: 'Limits of support-bot' }).click();
      expect(await dialog.getByLabel('Requests/min').inputValue()).toBe('60');
      await dialog.getByLabel('Requests/min').fill('');
      await dialog.getByLabel('Tokens/day').fill('');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await page.getByText('No limit yet').waitFor();
      expect((await cortex.call('getRouting')).limits).toEqual([]);
      for (const [kind, name] of [
        ['Users', account.username],
        ['Organisations', 'Default'],
      ] as const) {
        await page.getByRole('button', { name: kind }).click();
        await rowOf(page, 'Limits', name).waitFor();
      }
    });
    await cortex.call('revokeKey', { params: { id: key.id } });
  });
});

describe('the page API keys', () => {
  it('makes a key for chosen networks, endpoints and models, with a sample that has the address of this page', async () => {
    await clear();
    await addEndpoint('gpu-1', 'large');
    await addEndpoint('gpu-2', 'small');
    await onPage('/keys', async (page) => {
      const dialog = page.getByRole('dialog');
      await page.getByRole('button', { name: 'New key' }).click();
      await dialog.getByLabel('Name', { exact: true }).fill('narrow');
      await dialog.getByLabel('Every endpoint').uncheck();
      await dialog.getByLabel('audio').uncheck();
      await dialog.getByLabel('Every model').uncheck();
      await dialog.getByLabel('small').uncheck();
      await dialog.getByLabel('Networks').fill('10.1.0.0/16\n10.2.0.0/99');
      await expectFitForAll(page, 'keys-form');
      await dialog.getByRole('button', { name: 'Create key' }).click();
      await dialog.getByText('an IP address or a CIDR block').waitFor();
      await dialog.getByLabel('Networks').fill('10.1.0.0/16\n10.2.0.7');
      await dialog.getByRole('button', { name: 'Create key' }).click();
      await dialog.getByTestId('token').waitFor();
      expect(await dialog.innerText()).toContain(`base_url="${cortex.ui}/v1"`);
      await dialog.getByRole('button', { name: 'Done' }).click();
      const row = rowOf(page, 'API keys', 'narrow');
      expect(await row.innerText()).toMatch(/all but audio.*large.*10\.1\.0\.0\/16 \+1/s);
      await expectFitForAll(page, 'keys-full');
      await page.getByRole('button', { name: 'Revoke narrow' }).click();
      await dialog.getByRole('button', { name: 'Revoke' }).click();
      await row.getByText('revoked').waitFor();
    });
  });
});

describe('the UI', () => {
  it('asks to sign in when the session has ended, and leads back to the place with its filters', async () => {
    await onPage('/usage', async (page) => {
      await page.goto(`${cortex.ui}/usage?range=7d`);
      await page.getByText('No request yet').waitFor();
      await page.context().clearCookies();
      await page.getByRole('link', { name: 'Limits' }).click();
      await page.waitForURL('**/sign-in?*');
      await signIn(page, account);
      await page.waitForURL('**/limits');
      await page.goto(`${cortex.ui}/usage?range=7d`);
      await page.context().clearCookies();
      await page.reload();
      await page.waitForURL('**/sign-in?*');
      await signIn(page, account);
      await page.waitForURL('**/usage?range=7d');
      await page.getByText('the last 7 days').first().waitFor();
    });
  });

  it('says so when a page cannot be loaded, and loads it again', async () => {
    await onPage('/models', async (page) => {
      await page.route('**/assets/system-*.js', (route) => route.abort());
      await page.getByRole('link', { name: 'System' }).click();
      await page.getByText('This page could not be shown').waitFor();
      await page.unroute('**/assets/system-*.js');
      await page.getByRole('button', { name: 'Load it again' }).click();
      await page.getByRole('heading', { name: 'System' }).waitFor();
    });
  });

  it('keeps no empty answer in the playground after Stop, and gives the question back', async () => {
    await clear();
    await addEndpoint('gpu-1', 'silent');
    await onPage('/playground', async (page) => {
      await page.getByLabel('Message').fill('Are you there?');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByText('…', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByText('The answer of silent appears here').waitFor();
      expect(await page.getByLabel('Message').inputValue()).toBe('Are you there?');
    });
  });
});
