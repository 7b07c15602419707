const value = (name, convert = String) => ({ name, convert });
const on = (name) => ({ name });

const known = new Map();
const add = (spec, ...flags) => {
  for (const flag of flags) known.set(flag, spec);
};
add(value('model'), '-m', '--model');
add(value('host'), '--host');
add(value('port', Number), '--port');
add(value('alias'), '-a', '--alias');
add(value('contextSize', Number), '-c', '--ctx-size');
add(value('gpuLayers'), '-ngl', '--n-gpu-layers', '--gpu-layers');
add(value('batch', Number), '-b', '--batch-size');
add(value('microBatch', Number), '-ub', '--ubatch-size');
add(value('threads', Number), '-t', '--threads');
add(value('parallel', Number), '-np', '--parallel');
add(value('apiKey'), '--api-key');
add(value('apiKeyFile'), '--api-key-file');
add(value('pooling'), '--pooling');
add(value('flashAttention'), '-fa', '--flash-attn');
add(value('cacheTypeK'), '-ctk', '--cache-type-k');
add(value('cacheTypeV'), '-ctv', '--cache-type-v');
add(value('timeout', Number), '-to', '--timeout');
add(value('threadsBatch', Number), '-tb', '--threads-batch');
add(value('splitMode'), '-sm', '--split-mode');
add(value('tensorSplit'), '-ts', '--tensor-split');
add(value('mainGpu', Number), '-mg', '--main-gpu');
add(on('metrics'), '--metrics');
add(on('slots'), '--slots');
add(on('embeddings'), '--embeddings', '--embedding');
add(on('jinja'), '--jinja');
add(on('noWebui'), '--no-webui');
add(on('offline'), '--offline');
add(on('noWarmup'), '--no-warmup');
add(on('contBatching'), '-cb', '--cont-batching');
add(on('mlock'), '--mlock');
add(on('noMmap'), '--no-mmap');
add(on('version'), '--version');
add(on('help'), '-h', '--help');

/** Each option in llama.cpp's own layout: all its names, the value's, and an explanation from column 40 on. */
const entry = (spec) => {
  const names = [...known.keys()].filter((flag) => known.get(flag) === spec).sort((a, b) => a.length - b.length);
  const [short = ''] = names;
  const head = names.length === 1 ? short : `${`${short},`.padEnd(7)}${names.slice(1).join(', ')}`;
  const valued = spec.convert === undefined ? head : `${head} N`;
  return valued.length < 39 ? `${valued.padEnd(40)}${spec.name}` : `${valued}\n${' '.repeat(40)}${spec.name}`;
};
export const usage = `----- common params -----\n\n${[...new Set(known.values())].map(entry).join('\n')}\n`;

/** Reads the command line as llama-server does. Throws an Error whose message is what llama-server prints after "error: ". */
export function readFlags(args) {
  const flags = {
    host: process.env.LLAMA_ARG_HOST ?? '127.0.0.1',
    port: 8080,
    contextSize: 4096,
    parallel: 1,
    batch: 2048,
  };
  for (let index = 0; index < args.length; index++) {
    const spec = known.get(args[index]);
    if (spec === undefined) throw new Error(`invalid argument: ${args[index]}`);
    if (spec.convert === undefined) {
      flags[spec.name] = true;
      continue;
    }
    // Newer builds take on|off|auto, older ones take -fa alone.
    if (spec.name === 'flashAttention' && !/^(on|off|auto)$/.test(args[index + 1] ?? '')) {
      flags.flashAttention = 'on';
      continue;
    }
    const text = args[index + 1];
    if (text === undefined) throw new Error(`expected value for argument: ${args[index]}`);
    const converted = spec.convert(text);
    if (Number.isNaN(converted)) throw new Error(`error while handling argument "${args[index]}": stoi`);
    flags[spec.name] = converted;
    index += 1;
  }
  return flags;
}
