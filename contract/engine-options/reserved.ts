import type { Spelling } from './option.ts';
import { type EngineName, engineNames, optionTables } from './tables.ts';

const address = 'Cortex sets where the engine listens';
const access = 'Cortex sets who may ask the engine';
const identity = 'Cortex sets which model is served, and under which name';
const outside = 'it reaches out of this machine, or loads from outside';
const code = 'it loads and runs foreign code';
const files = "it reads or writes files that are not the model's";
const purpose = 'it ends or changes what the container is for';

/** Flags that are not the operator's to set, with the reason. Prefixes of vLLM's count too, since argparse takes them. */
const reserved: Readonly<Record<EngineName, readonly (readonly [string, string])[]>> = {
  vllm: [
    [address, 'host port uds root-path headless grpc nnodes node-rank'],
    [access, 'api-key ssl-keyfile ssl-certfile ssl-ca-certs ssl-cert-reqs ssl-ciphers enable-ssl-refresh'],
    [identity, 'model served-model-name task runner convert config lora-modules prompt-adapters hf-config-path'],
    [
      outside,
      'download-dir revision code-revision tokenizer-revision hf-token otlp-traces-endpoint allowed-media-domains tool-server ' +
        'kv-transfer-config kv-events-config ec-transfer-config weight-transfer-config master-addr master-port ' +
        'data-parallel-address data-parallel-rpc-port data-parallel-backend data-parallel-supervisor-port ' +
        'data-parallel-external-lb data-parallel-hybrid-lb data-parallel-multi-port-external-lb speculative-model spec-model',
    ],
    [
      code,
      'middleware tool-parser-plugin reasoning-parser-plugin logits-processors logits-processor-pattern worker-cls ' +
        'worker-extension-cls scheduler-cls io-processor-plugin model-class-overrides model-loader-extra-config additional-config',
    ],
    [
      files,
      'allowed-local-media-path log-config-file profiler-config qlora-adapter-name-or-path quantization-param-path',
    ],
    [purpose, 'help version tokens-only'],
  ],
  llamacpp: [
    [address, 'host port reuse-port api-prefix path cors-origins cors-methods cors-headers cors-credentials'],
    [access, 'api-key api-key-file ssl-key-file ssl-cert-file props'],
    [
      identity,
      'model alias tags models-dir models-preset models-max models-autoload embedding embeddings rerank reranking',
    ],
    [
      outside,
      'offline model-url docker-repo hf-repo hf-file hf-token hf-repo-v hf-file-v mmproj-url mmproj-auto rpc hf-repo-draft ' +
        'spec-draft-hf embd-gemma-default fim-qwen-1.5b-default fim-qwen-3b-default fim-qwen-7b-default fim-qwen-7b-spec ' +
        'fim-qwen-14b-spec fim-qwen-30b-default gpt-oss-20b-default gpt-oss-120b-default vision-gemma-4b-default ' +
        'vision-gemma-12b-default embd-bge-small-en-default embd-e5-small-en-default embd-gte-small-default',
    ],
    [
      code,
      'tools tools-runtime agent mcp-servers-config mcp-servers-json ui-mcp-proxy webui-mcp-proxy video-ffmpeg-dir',
    ],
    [
      files,
      'log-file log-disable log-prompts-dir slot-save-path media-path lookup-cache-static lookup-cache-dynamic grammar-file ' +
        'json-schema-file ui-config-file webui-config-file model-vocoder lora-scaled control-vector control-vector-scaled',
    ],
    [
      purpose,
      'help usage version completion-bash cache-list list-devices metrics ui webui ui-config webui-config license',
    ],
  ],
};

const reservedFlags = (engine: EngineName): ReadonlyMap<string, string> =>
  new Map(
    reserved[engine].flatMap(([reason, names]) =>
      names.split(' ').flatMap((name) => [
        [`--${name}`, reason],
        [`--no-${name}`, reason],
      ]),
    ),
  );

const flagsOf = (spelling: Spelling): readonly string[] => {
  if (spelling.form === 'map') return Object.values(spelling.words).flat();
  return spelling.form === 'pair' ? [spelling.flag, spelling.off] : [spelling.flag];
};

/** The option that a flag belongs to, in any version. */
const tableFlags = (engine: EngineName): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(optionTables[engine]).flatMap(([name, { spellings }]) =>
      spellings.flatMap((spelling) => flagsOf(spelling).map((flag) => [flag, name] as const)),
    ),
  );

const known = {
  vllm: { reserved: reservedFlags('vllm'), table: tableFlags('vllm') },
  llamacpp: { reserved: reservedFlags('llamacpp'), table: tableFlags('llamacpp') },
};

/** A flag as its engine compares it: without its value and its underscores, vLLM's also without what follows a dot. */
export const flagOf = (engine: EngineName, argument: string): string =>
  (argument.split(engine === 'vllm' ? /[=.+]/ : '=', 1)[0] ?? '').replace(/(?<=^--.*)_/g, '-');

function refusal(engine: EngineName, argument: string): string | null {
  const flag = flagOf(engine, argument);
  if (flag === '--' || flag === '-') return `'${argument}' is not an option.`;
  if (!flag.startsWith('--')) return `Write '${flag}' in its long form, so that it can be checked.`;
  if (engine === 'llamacpp' && argument.includes('=') && flag !== argument)
    return `llama.cpp takes a value as an argument of its own: ${flag}, then the value.`;
  return null;
}

function reservation(engine: EngineName, flag: string): string | null {
  const { reserved: kept, table } = known[engine];
  const reason = kept.get(flag);
  if (reason !== undefined) return `${flag} can't be set here: ${reason}.`;
  const option = table.get(flag);
  if (option !== undefined) return `${flag} has a field of its own: set ${option} instead.`;
  // argparse takes any beginning of a flag that is not ambiguous.
  if (engine === 'llamacpp') return null;
  const meant = [...kept.keys(), ...table.keys()].find((full) => full.startsWith(flag));
  if (meant === undefined) return null;
  return `${flag} is short for ${meant}: ${kept.get(meant) ?? `set ${table.get(meant)} instead`}. Write flags out in full.`;
}

/** The arguments that must not be given by hand, each with the reason. */
export function refusedArguments(
  engine: EngineName,
  args: readonly string[],
): readonly { readonly index: number; readonly reason: string }[] {
  const found: { index: number; reason: string }[] = [];
  let mayBeValue = false;
  args.forEach((argument, index) => {
    const isFlag = argument.startsWith('-') && !/^-(?:\d|\.\d)/.test(argument);
    let reason: string | null = null;
    if (argument.includes('\0')) reason = 'An argument has no NUL in it.';
    else if (isFlag) reason = reservation(engine, flagOf(engine, argument)) ?? refusal(engine, argument);
    else if (!mayBeValue)
      reason = `'${argument}' belongs to no option: ${engineNames[engine]} would take it for a model.`;
    mayBeValue = isFlag && !argument.includes('=');
    if (reason !== null) found.push({ index, reason });
  });
  return found;
}

const reservedVariables: Readonly<Record<EngineName, readonly (readonly [RegExp, string])[]>> = {
  vllm: [
    [/^VLLM_API_KEY$/i, access],
    [/^VLLM_(?:HOST_IP|PORT|RPC_BASE_PATH|DP_.*)$/i, address],
    [/^VLLM_(?:PLUGINS|ALLOW_RUNTIME_LORA_UPDATING|ALLOW_INSECURE_SERIALIZATION|SERVER_DEV_MODE)$/i, code],
    [/^VLLM_(?:NO_USAGE_STATS|DO_NOT_TRACK|USAGE_.*|USE_MODELSCOPE|S3_.*|LORA_RESOLVER.*)$/i, outside],
  ],
  llamacpp: [[/^LLAMA_/i, 'the options and arguments of this model are the place for it']],
};
const commonVariables: readonly (readonly [RegExp, string])[] = [
  [/^(?:HF_|HUGGING_?FACE|TRANSFORMERS_|MODELSCOPE_|DO_NOT_TRACK$|MODEL_ENDPOINT$|OTEL_|AWS_|WANDB_)/i, outside],
  [/^(?:https?|all|ftp|no)_proxy$/i, outside],
  [/^(?:LD_|PYTHON|BASH_ENV$|ENV$|PATH$|IFS$|SHELLOPTS$)/i, code],
  [/^(?:NVIDIA_|CUDA_VISIBLE_DEVICES$|HOME$)/i, 'Cortex sets which devices and folders the engine sees'],
];

/** The variables that must not be given by hand, each with the reason. */
export function refusedEnvironment(
  engine: EngineName,
  variables: Readonly<Record<string, string>>,
): readonly { readonly variable: string; readonly reason: string }[] {
  return Object.entries(variables).flatMap(([variable, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(variable))
      return [{ variable, reason: `'${variable}' is not the name of a variable.` }];
    if (value.includes('\0')) return [{ variable, reason: `${variable} has a NUL in it.` }];
    const rule = [...reservedVariables[engine], ...commonVariables].find(([pattern]) => pattern.test(variable));
    return rule === undefined ? [] : [{ variable, reason: `${variable} can't be set here: ${rule[1]}.` }];
  });
}
