import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const cortex = new EmbeddedCortex();
const dir = mkdtempSync(join(tmpdir(), 'cortex-apply-'));

beforeAll(async () => {
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  const { password } = await cortex.signIn();
  writeFileSync(join(dir, 'password'), `${password}\n`);
  mkdirSync(join(cortex.models, 'tiny'));
  await writeTinyModel(join(cortex.models, 'tiny/tiny.gguf'));
});
afterAll(async () => {
  await cortex.stop();
  rmSync(dir, { recursive: true, force: true });
});
afterEach(async () => {
  for (const { id } of await models()) await cortex.call('deleteModel', { params: { id } });
  for (const { id } of (await cortex.call('listRecipes')).recipes)
    await cortex.call('deleteRecipe', { params: { id } });
});

const models = async () => (await cortex.call('listModels')).models;

/** Runs the command as a script does: without a terminal. */
async function run(args: readonly string[], more: { env?: Record<string, string>; input?: string } = {}) {
  const child = spawn(process.execPath, [command, ...args], {
    env: {
      ...process.env,
      CORTEX_URL: cortex.api,
      CORTEX_PASSWORD_FILE: join(dir, 'password'),
      ...more.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(more.input ?? '');
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((done) => child.once('exit', done)),
  ]);
  return { out, err, code };
}

function write(name: string, content: string): string {
  const file = join(dir, name);
  writeFileSync(file, content);
  return file;
}

const model = (name: string, more = '') =>
  `kind: Model\nserved_name: ${name}\nengine: llamacpp\nfolder: tiny\nfile: tiny.gguf\n${more}`;
const answer = z.object({
  summary: z.record(z.string(), z.number()),
  changes: z.array(
    z.object({
      kind: z.string(),
      name: z.string(),
      action: z.string(),
      result: z.string(),
      error: z.object({ code: z.string(), message: z.string() }).nullable(),
      fields: z.array(z.object({ field: z.string(), before: z.unknown(), after: z.unknown(), secret: z.boolean() })),
    }),
  ),
});

describe('cortex apply', () => {
  it('makes what the files describe, and finds nothing to do the second time', async () => {
    const first = write('one.yaml', `${model('one', 'options: { threads: 2 }\n')}---\n${model('two')}`);
    const second = write('three.json', JSON.stringify({ kind: 'Recipe', name: 'R', engine: 'vllm' }));
    const made = await run(['apply', '-f', first, '-f', second, '--yes']);
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(made.out).toMatch(/\+ Model one \(create\)[\s\S]*options\.threads: 2[\s\S]*✓ Model two: created/);
    expect((await models()).map((one) => one.served_name).sort()).toEqual(['one', 'two']);
    const again = await run(['apply', '-f', first, '-f', second]);
    expect(again).toEqual({ code: 0, err: '', out: 'No changes, 3 unchanged\n' });
  });

  it('shows what differs and changes just that; what is left out goes back to its default', async () => {
    await run(['apply', '-f', write('a.yaml', model('one', 'options: { threads: 2, parallel: 4 }\n')), '--yes']);
    const file = write('b.yaml', model('one', 'name: Better\noptions: { threads: 3 }\n'));
    const { out, code } = await run(['apply', '-f', file, '--yes']);
    expect(code).toBe(0);
    expect(out).toContain('    name: "one" → "Better"\n');
    expect(out).toContain('    options.threads: 2 → 3\n');
    expect(out).toContain('    options.parallel: 4 → (default)\n');
    expect(await models()).toMatchObject([{ name: 'Better', version: 2, options: { threads: 3, parallel: null } }]);
  });

  it('says when a model is loaded, and leaves alone what a file does not speak of', async () => {
    const file = write('a.yaml', model('one', 'on_demand: { idle_seconds: 60, group: big }\n'));
    const made = await run(['apply', '-f', file, '--yes']);
    expect(made.out).toContain('    on_demand: {"idle_seconds":60,"priority":0,"group":"big"}\n');
    const [one] = await models();
    const settings = async () => (await cortex.call('getOnDemand', { params: { id: one?.id ?? '' } })).on_demand;
    expect(await settings()).toEqual({ idle_seconds: 60, priority: 0, group: 'big' });
    for (const text of [model('one'), (await run(['export', '--no-recipes'])).out])
      expect(await run(['apply', '-f', '-', '--yes'], { input: text })).toMatchObject({
        out: 'No changes, 1 unchanged\n',
      });
    const faulty = await run(['apply', '-f', '-', '--yes'], {
      input: model('one', 'on_demand: { idle_seconds: 0 }\n'),
    });
    expect(faulty).toMatchObject({ code: 2, err: expect.stringContaining('on_demand.idle_seconds') as string });
    await run(['apply', '-f', '-', '--yes'], { input: model('one', 'on_demand: null\n') });
    expect(await settings()).toBeNull();
    expect(await models()).toMatchObject([{ version: one?.version }]);
  });

  it.each([['--dry-run'], ['--diff']])(
    '%s changes nothing and tells by exit code 8 that something would',
    async (flag) => {
      const file = write('a.yaml', model('one'));
      expect(await run(['apply', '-f', file, flag])).toMatchObject({ code: 8, err: '' });
      expect(await models()).toEqual([]);
      await run(['apply', '-f', file, '--yes']);
      expect(await run(['apply', '-f', file, flag])).toMatchObject({ code: 0 });
    },
  );

  it('asks nobody where there is no terminal, and changes nothing without --yes', async () => {
    const { code, err } = await run(['apply', '-f', '-'], { input: model('one') });
    expect(code).toBe(2);
    expect(err).toContain('add --yes');
    expect(await models()).toEqual([]);
  });

  it('names every fault with its place before it changes anything', async () => {
    const fine = model('fine');
    const faulty = model('bad', 'options: { threads: many }\n');
    const file = write('a.yaml', `${fine}---\n${faulty}---\nkind: Alias\n`);
    const { code, err } = await run(['apply', '-f', file, '--yes']);
    expect(code).toBe(2);
    expect(err).toMatch(/a\.yaml:7: options\.threads/);
    expect(err).toMatch(/a\.yaml:14: kind/);
    const other = write('b.yaml', `${fine}---\n${model('gone').replace('folder: tiny', 'folder: gone')}---\n${fine}`);
    const refused = await run(['apply', '-f', other, '--yes']);
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(/b\.yaml:7: Model gone: .*gone[\s\S]*described twice/);
    expect(await models()).toEqual([]);
  });

  it('takes secrets from variables and files, and shows them nowhere', async () => {
    writeFileSync(join(dir, 'token'), 'hush-file\n');
    const options = `options:
  extra_args: ['--x-token', { from_env: MY_ARGUMENT }]
  extra_env: { A_TOKEN: { from_env: MY_TOKEN }, B_TOKEN: { from_file: token } }
`;
    const file = write('a.yaml', model('one', options));
    const env = { MY_TOKEN: 'hush-env', MY_ARGUMENT: 'hush-argument' };
    const outputs = [await run(['apply', '-f', file, '--yes'], { env })];
    outputs.push(await run(['apply', '-f', file, '--json'], { env }));
    expect(outputs.map(({ code }) => code)).toEqual([0, 0]);
    const changed = await run(['apply', '-f', file, '--dry-run'], { env: { ...env, MY_TOKEN: 'hush-other' } });
    expect(changed).toMatchObject({ code: 8 });
    expect(changed.out).toContain('options.extra_env.A_TOKEN: (a secret)');
    outputs.push(changed, await run(['export']));
    expect(JSON.stringify(outputs)).not.toContain('hush');
    const missing = await run(['apply', '-f', file, '--yes']);
    expect(missing.code).toBe(2);
    expect(missing.err).toMatch(/a\.yaml:1: options\.extra_env\.A_TOKEN: the variable MY_TOKEN is not set/);
  });

  it('deletes only with --prune, and nothing of a kind that the files do not speak of', async () => {
    const recipe = '---\nkind: Recipe\nname: R\nengine: vllm\n';
    await run(['apply', '-f', write('a.yaml', `${model('one')}---\n${model('two')}${recipe}`), '--yes']);
    const file = write('b.yaml', model('one'));
    expect(await run(['apply', '-f', file])).toMatchObject({ code: 0 });
    const pruned = await run(['apply', '-f', file, '--prune', '--yes']);
    expect(pruned.out).toContain('- Model two (delete)');
    expect((await models()).map((one) => one.served_name)).toEqual(['one']);
    expect((await cortex.call('listRecipes')).recipes).toHaveLength(1);
  });

  it('says what became of each where one fails, and goes on from there the next time', async () => {
    const file = write('a.yaml', `${model('one')}---\n${model('two', 'wanted: running\n')}---\n${model('three')}`);
    const { code, out } = await run(['apply', '-f', file, '--yes', '--json']);
    expect(code).toBe(1);
    expect(answer.parse(JSON.parse(out))).toMatchObject({
      summary: { create: 3 },
      changes: [
        { name: 'one', result: 'done', error: null },
        { name: 'two', result: 'failed', error: { code: 'docker_unavailable' } },
        { name: 'three', result: 'not_tried' },
      ],
    });
    const stopped = write('b.yaml', `${model('one')}---\n${model('two')}---\n${model('three')}`);
    const next = await run(['apply', '-f', stopped, '--yes']);
    expect(next).toMatchObject({ code: 0 });
    expect(next.out).toContain('1 to create, 2 unchanged');
  });

  it('takes from a recipe what a model leaves open', async () => {
    const recipe = 'kind: Recipe\nname: Small\nengine: llamacpp\noptions: { context_size: 512, threads: 1 }\n';
    const file = write('a.yaml', `${recipe}---\n${model('one', 'recipe: { name: Small }\noptions: { threads: 2 }\n')}`);
    expect(await run(['apply', '-f', file, '--yes'])).toMatchObject({ code: 0 });
    expect(await models()).toMatchObject([{ options: { context_size: 512, threads: 2 } }]);
    const changed = write('b.yaml', recipe.replace('512', '1024'));
    expect(await run(['apply', '-f', changed, '--yes'])).toMatchObject({ code: 0 });
    const pinned = write('c.yaml', model('two', 'recipe: { name: Small, version: 1 }\n'));
    expect(await run(['apply', '-f', pinned, '--yes'])).toMatchObject({ code: 0 });
    expect((await models()).find((one) => one.served_name === 'two')?.options).toMatchObject({ context_size: 512 });
    const unknown = await run(['apply', '-f', write('d.yaml', model('three', 'recipe: { name: Nothing }\n')), '--yes']);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("there is no recipe 'Nothing'") });
  });

  it('lets nobody in without a password, with a wrong one, or over the network unencrypted', async () => {
    const file = write('a.yaml', model('one'));
    const none = await run(['apply', '-f', file], { env: { CORTEX_PASSWORD_FILE: '' } });
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('--password-file') });
    const wrong = await run(['apply', '-f', file, '--password-file', write('wrong', 'no'), '--username', 'nobody']);
    expect(wrong.code).toBe(1);
    const open = await run(['apply', '-f', file, '--url', 'http://192.0.2.1:8084']);
    expect(open).toMatchObject({ code: 2, err: expect.stringContaining('unencrypted') });
  });
});

describe('cortex export', () => {
  it('writes what applies without a change, secrets left out and named', async () => {
    const options = `options:
  threads: 2
  tensor_split: [1, 2.5]
  chat_template_kwargs: { enable_thinking: false }
  extra_args: ['--x-token', 'hush', '--y-key', 'hush']
  extra_env: { A_TOKEN: hush, COLOUR: "yes" }
`;
    const recipe = 'kind: Recipe\nname: R\nnote: "a: b"\nengine: vllm\noptions: { max_model_len: 8192 }\n';
    const file = write('a.yaml', `${model('one', options)}---\n${model('two', 'task: embed\n')}---\n${recipe}`);
    expect(await run(['apply', '-f', file, '--yes'])).toMatchObject({ code: 0 });
    const exported = await run(['export']);
    expect(exported.code).toBe(0);
    expect(exported.out).not.toContain('hush');
    expect(exported.out).toMatch(/# Left out.*options\.extra_env\.A_TOKEN, options\.extra_args\.1/);
    const again = await run(['apply', '-f', '-', '--prune'], { input: exported.out });
    expect(again).toEqual({ code: 0, err: '', out: 'No changes, 3 unchanged\n' });
    for (const { id } of await models()) await cortex.call('deleteModel', { params: { id } });
    const elsewhere = await run(['apply', '-f', '-', '--yes'], { input: exported.out });
    expect(elsewhere.code).toBe(2);
    for (const field of ['extra_env.A_TOKEN', 'extra_args.1', 'extra_args.3'])
      expect(elsewhere.err).toContain(`Model one: options.${field}: This secret is left out`);
  });
});
