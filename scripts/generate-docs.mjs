// Writes docs/reference/*.md, docs/operations/troubleshooting.md and backend/.env.example from the definitions in the code. Run after a build:
//   node scripts/generate-docs.mjs            writes them
//   node scripts/generate-docs.mjs --check    fails where one is not what it would write
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { z } from 'zod';
import { renderEnvExample } from '../dist/backend/src/config.js';
import { settingDefinitions } from '../dist/backend/src/config-settings.js';
import { fixable } from '../dist/backend/src/engines/diagnosis/fixes.js';
import { causes, consequences } from '../dist/backend/src/engines/diagnosis/rules.js';
import { Metrics } from '../dist/backend/src/gateway/metrics.js';
import { enginePaths } from '../dist/backend/src/gateway/surface.js';
import { registerConfig } from '../dist/cli/config/register.js';
import { registerOffline } from '../dist/cli/offline/register.js';
import { configDocument } from '../dist/contract/config-file/documents.js';
import { engineNames, optionTables } from '../dist/contract/engine-options/tables.js';
import { errorDefinitions } from '../dist/contract/errors.js';
import { routes } from '../dist/contract/routes.js';
import { bill } from '../dist/offline/bill.js';

const made = 'This page is printed from the code by `node scripts/generate-docs.mjs`: do not edit it.';
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function configuration() {
  const lines = [
    '# Settings',
    '',
    made,
    '',
    'A setting is a variable of the environment or a line of `backend/.env`; the environment goes first. An empty value counts as not set.',
    'A wrong value stops the start and names the variable, the value, where it came from and what is allowed.',
  ];
  let group = '';
  for (const [name, setting] of Object.entries(settingDefinitions)) {
    if (setting.group !== group) {
      group = setting.group;
      lines.push('', `## ${group}`, '', '| Setting | Default | Allowed | What it does |', '|---|---|---|---|');
    }
    const value = setting.default === '' ? '(empty)' : `\`${setting.default}\``;
    lines.push(`| \`${name}\` | ${value} | ${cell(setting.allowed)} | ${cell(setting.description)} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** Stands for every parameter: shows its name where a value would be. */
const names = new Proxy({}, { get: (_target, name) => `‹${String(name)}›` });

function errors() {
  const lines = [
    '# Errors',
    '',
    made,
    '',
    "Every error answer has OpenAI's shape, with a hint and the request's id:",
    '',
    '```json',
    '{ "error": { "message": "…", "type": "…", "param": null, "code": "…", "hint": "…", "request_id": "…" } }',
    '```',
    '',
    'Clients should switch on `code`; the words may change. The command line ends with the exit code.',
    '',
    '| Code | HTTP | Type | Exit | Message | What to do |',
    '|---|---|---|---|---|---|',
  ];
  for (const [code, e] of Object.entries(errorDefinitions)) {
    const words = `${cell(e.message(names))} | ${cell(e.hint(names))}`;
    lines.push(`| \`${code}\` | ${e.status} | \`${e.type}\` | ${e.exit} | ${words} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** A JSON schema in few words: `{ name: string, scopes?: ('chat' | 'models')[] }`. */
function shape(schema) {
  if (schema === undefined || schema === true) return 'any';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' \\| ');
  const union = schema.anyOf ?? schema.oneOf;
  if (union) return union.map(shape).join(' \\| ');
  if (schema.type === 'array') {
    const inner = shape(schema.items);
    return inner.includes(' ') && !inner.startsWith('{') ? `(${inner})[]` : `${inner}[]`;
  }
  if (schema.type === 'object') {
    const required = new Set(schema.required ?? []);
    const fields = Object.entries(schema.properties ?? {});
    return `{ ${fields.map(([name, value]) => `${name}${required.has(name) ? '' : '?'}: ${shape(value)}`).join(', ')} }`;
  }
  return schema.type ?? 'any';
}

const accessWords = {
  public: 'anyone',
  session: 'anyone signed in',
  local:
    'the command line of this machine (`Authorization: Bearer` and the content of `local-token` in the data folder)',
};

function api() {
  const lines = [
    '# Routes of the control plane',
    '',
    made,
    '',
    'All are on the API port (8084) and on the UI port (3001). Sign in at `POST /auth/login` and send the cookie `cortex_session` that it sets.',
    'The OpenAI-compatible routes under `/v1` take an API key instead: see docs/operations/gateway.md.',
  ];
  const described = (name, schema, io) => {
    if (schema)
      lines.push(
        `- ${name}: \`${shape(z.toJSONSchema(schema, { io, unrepresentable: 'any' })).replaceAll('\\|', '|')}\``,
      );
  };
  for (const route of Object.values(routes)) {
    lines.push('', `## ${route.method} ${route.path}`, '', `${route.summary}.`, '');
    lines.push(`- Who: ${accessWords[route.access] ?? `those with the right \`${route.access}\``}`);
    described('Path', route.params, 'input');
    described('Query', route.query, 'input');
    described('Body', route.body, 'input');
    if (route.kind === 'download') lines.push(`- Answer: a file, \`${route.contentType}\``);
    else described(route.kind === 'stream' ? 'Answer (server-sent events)' : 'Answer', route.response, 'output');
  }
  return `${lines.join('\n')}\n`;
}

const bodies = { json: 'JSON', form: 'a form' };
const shapes = { openai: "OpenAI's", responses: "OpenAI's (Responses)", anthropic: "Anthropic's" };
const yes = (flag) => (flag ? 'yes' : '');

function gateway() {
  const lines = [
    '# Paths and metrics of the gateway',
    '',
    made,
    '',
    'What they are for: [docs/operations/gateway.md](../operations/gateway.md).',
    '',
    '## Paths',
    '',
    'Which of them a model has is for its engine to say; where it has not, the answer is 400 `engine_lacks_endpoint`.',
    '',
    '| Path | Scope of the key | Task of the model | Body | Streams | Errors | Tokens counted |',
    '|---|---|---|---|---|---|---|',
    "| `GET /v1/models` | `models` | | | | OpenAI's | |",
    "| `GET /v1/models/‹name›` | `models` | | | | OpenAI's | |",
  ];
  for (const [path, { scope, task, body, canStream, errors, isCounted }] of Object.entries(enginePaths)) {
    const columns = [scope, task ?? 'any', bodies[body], yes(canStream), shapes[errors], yes(isCounted)];
    lines.push(`| \`POST ${path}\` | \`${columns[0]}\` | ${columns.slice(1).join(' | ')} |`);
  }
  lines.push(
    '',
    '## Metrics',
    '',
    'Durations are in seconds.',
    '',
    '| Metric | Type | Labels | Meaning |',
    '|---|---|---|---|',
  );
  const { registry, histograms } = new Metrics({});
  const isOfProcess = ({ name }) => /^cortex_(process|nodejs)_/.test(name);
  const all = [...registry.getMetricsAsArray(), ...histograms].sort((a, b) => a.name.localeCompare(b.name, 'en'));
  const row = ({ name, type, labelNames, help }) =>
    `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ')} | ${cell(help)} |`;
  lines.push(...all.filter((metric) => !isOfProcess(metric)).map(row));
  lines.push('', '### Of the first process', '', '| Metric | Type | Labels | Meaning |', '|---|---|---|---|');
  lines.push(...all.filter(isOfProcess).map(row));
  registry.clear();
  return `${lines.join('\n')}\n`;
}

function commands() {
  const program = new Command('cortex');
  registerOffline(program);
  const lines = [
    '# cortex offline',
    '',
    made,
    '',
    'Exit codes: 0 done · 1 failed · 2 wrong usage or setting · 3 integrity · 4 Docker · 5 disk space · 6 network · 7 not ready · 8 changes that were not made · 130 interrupted.',
  ];
  const [offline] = program.commands;
  const all = offline.commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]));
  for (const command of all) {
    const help = command.configureHelp({ helpWidth: 120 });
    let text = '';
    help.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
    const title = command.parent === offline ? command.name() : `${command.parent.name()} ${command.name()}`;
    if (command.name() !== 'ask-model') lines.push('', `## ${title}`, '', '```', text.trimEnd(), '```');
  }
  return `${lines.join('\n')}\n`;
}

/** The commands that take models and recipes from files, and what may be in such a file. */
function configFiles() {
  const program = new Command('cortex');
  registerConfig(program);
  const lines = [
    '# cortex apply and cortex export',
    '',
    made,
    '',
    'How they are used: [docs/operations/models-as-files.md](../operations/models-as-files.md). The form of the files as a JSON Schema, for editors: [models.schema.json](models.schema.json).',
  ];
  for (const command of program.commands) {
    let text = '';
    command
      .configureHelp({ helpWidth: 120 })
      .configureOutput({ writeOut: (part) => (text += part) })
      .outputHelp();
    lines.push('', `## ${command.name()}`, '', '```', text.trimEnd(), '```');
  }
  const schema = z.toJSONSchema(configDocument, { io: 'input', unrepresentable: 'any' });
  lines.push('', '## Documents', '', 'The options are those of [engine-options.md](engine-options.md).');
  const kinds = schema.oneOf.flatMap(({ oneOf }) => oneOf[0]);
  for (const { properties, required } of kinds) {
    lines.push('', `### ${properties.kind.const}`, '', '| Field | Needed | Form | What it is |', '|---|---|---|---|');
    for (const [name, field] of Object.entries(properties)) {
      const form = { engine: '`"llamacpp"` or `"vllm"`', options: 'an object' }[name] ?? `\`${shape(field)}\``;
      lines.push(`| \`${name}\` | ${yes(required.includes(name))} | ${form} | ${cell(field.description ?? '')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const configSchema = () => {
  const schema = z.toJSONSchema(configDocument, { io: 'input', unrepresentable: 'any' });
  return `${JSON.stringify({ $id: 'https://cortex.invalid/models.schema.json', title: 'One document of a file that cortex apply takes', ...schema }, null, 2)}\n`;
};

const allowedWords = (option) => {
  if (option.kind === 'choice') return option.choices.map((one) => `\`${one}\``).join(', ');
  if (option.kind === 'boolean') return 'true, false';
  if (option.kind === 'json') return 'a JSON object';
  if (option.kind === 'file') return "a path below the model's folder";
  if (option.kind === 'text') return 'a name';
  return `${option.kind === 'integers' || option.kind === 'numbers' ? 'a list, each ' : ''}${option.min} to ${option.max}`;
};

const spellingWords = (spelling) => {
  const range = [spelling.since && `from ${spelling.since}`, spelling.until && `before ${spelling.until}`];
  const versions = range.filter(Boolean).join(', ') || 'all';
  const flags = {
    pair: () => `\`${spelling.flag}\` / \`${spelling.off}\``,
    map: () =>
      Object.entries(spelling.words)
        .map(([value, words]) => `${value}: ${words.length === 0 ? 'nothing' : `\`${words.join(' ')}\``}`)
        .join('; '),
    switch: () => `\`${spelling.flag}\` for true`,
    off: () => `\`${spelling.flag}\` for false`,
    joined: () => `\`${spelling.flag} A,B\``,
    values: () => `\`${spelling.flag} A B\``,
    pairs: () => `\`${spelling.flag} A=1,B=2\``,
    value: () => `\`${spelling.flag} …\``,
    word: () => `\`${spelling.flag} true\` or \`false\``,
  };
  return [versions, flags[spelling.form]()];
};

function engineOptions() {
  const lines = [
    '# Options of the engines',
    '',
    made,
    '',
    'Each is a field of `options` in `POST /admin/models`, and of the form. Left out or null, the default of the engine holds.',
    'Before a start Cortex asks the image itself (`--version` and `--help`, once for each image): what the image lists goes before these tables,',
    'and an option that it lacks is refused with the reason. Of vLLM the tables cover 0.6.3 to 0.29.0; «all» means every one of them.',
    'Of llama.cpp, which is numbered by build, the bounds are estimates, and only count where an image does not answer.',
    '',
    '`extra_args` (a list of words) and `extra_env` (an object) take what has no field. Refused are the flags that have a field or that Cortex sets,',
    'those that reach out, run foreign code or touch other files, every abbreviation of them, and short forms.',
  ];
  for (const [engine, table] of Object.entries(optionTables)) {
    lines.push('', `## ${engineNames[engine]}`);
    const groups = [...new Set(Object.values(table).map(({ group }) => group))];
    for (const group of groups) {
      lines.push('', `### ${group}`, '');
      lines.push(
        '| Option | Allowed | Unit | Default | Versions | On the command line | What it does |',
        '|---|---|---|---|---|---|---|',
      );
      for (const [name, option] of Object.entries(table).filter(([, one]) => one.group === group)) {
        const spelled = option.spellings.map(spellingWords);
        const standard = option.standard === null ? 'depends' : `\`${JSON.stringify(option.standard)}\``;
        const cells = [
          `\`${name}\``,
          allowedWords(option),
          option.unit ?? '',
          standard,
          spelled.map(([versions]) => versions).join('<br>'),
          spelled.map(([, words]) => words).join('<br>'),
          option.help,
        ];
        lines.push(`| ${cells.map(cell).join(' | ')} |`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function troubleshooting() {
  const lines = [
    '# Why a model does not start',
    '',
    made,
    '',
    "Cortex reads the end of an engine's log and what Docker says of the container, and tells the cause on the model's page with the line that shows it.",
    'A line that names a cause goes before one that only follows from it; of several, the newest counts.',
    'Where an option may put it right, the page offers the change: **Apply** makes it, like an edit, and starts the model anew. **Try again** starts it as it is.',
  ];
  for (const [heading, rules] of [
    ['Causes', causes],
    ['Where no cause is named', consequences],
  ]) {
    lines.push('', `## ${heading}`, '', '| What is said | What to do | With one click |', '|---|---|---|');
    for (const { code, reason, hint } of rules)
      lines.push(`| ${cell(reason)} | ${cell(hint)} | ${fixable.has(code) ? 'yes' : ''} |`);
  }
  return `${lines.join('\n')}\n`;
}

const packageSchema = () => {
  const schema = z.toJSONSchema(bill, { unrepresentable: 'any', io: 'output' });
  return `${JSON.stringify({ $id: 'https://cortex.invalid/package.schema.json', title: 'manifest.json of a Cortex package, format 2', ...schema }, null, 2)}\n`;
};

const pages = {
  'docs/reference/offline.md': commands(),
  'docs/reference/package.schema.json': packageSchema(),
  'docs/reference/config-files.md': configFiles(),
  'docs/reference/models.schema.json': configSchema(),
  'docs/reference/configuration.md': configuration(),
  'docs/reference/errors.md': errors(),
  'docs/reference/api.md': api(),
  'docs/reference/gateway.md': gateway(),
  'docs/reference/engine-options.md': engineOptions(),
  'docs/operations/troubleshooting.md': troubleshooting(),
  'backend/.env.example': renderEnvExample(),
};

const pathOf = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const read = (name) => {
  try {
    return readFileSync(pathOf(name), 'utf8');
  } catch {
    return null;
  }
};

if (process.argv.includes('--check')) {
  const stale = Object.entries(pages).filter(([name, text]) => read(name) !== text);
  for (const [name] of stale) console.error(`${name} is not up to date: node scripts/generate-docs.mjs`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  mkdirSync(pathOf('docs/reference'), { recursive: true });
  for (const [name, text] of Object.entries(pages)) writeFileSync(pathOf(name), text);
}
