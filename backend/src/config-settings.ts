import { z } from 'zod';
import { network } from '../../contract/keys.ts';

/** One setting of the server: an environment variable, or a line of backend/.env. */
export interface Setting<T = unknown> {
  readonly group:
    | 'Offline operation'
    | 'Images'
    | 'Models and engines'
    | 'Listening'
    | 'Storage'
    | 'Services'
    | 'Server';
  readonly description: string;
  /** The value when nobody sets one, as it would be written. An empty text means: see the description. */
  readonly default: string;
  /** What may be written, for people. */
  readonly allowed: string;
  /** The value is never printed. */
  readonly secret?: boolean;
  readonly schema: z.ZodType<T, string>;
}

const setting = <T>(definition: Setting<T>): Setting<T> => definition;

const flag = z
  .string()
  .transform((text) => text.trim().toLowerCase())
  .pipe(z.enum(['true', 'false', '1', '0', 'yes', 'no', 'on', 'off']))
  .transform((text) => text === 'true' || text === '1' || text === 'yes' || text === 'on');
const flagAllowed = 'True or False';

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));
const wholeAllowed = (min: number, max: number) => `a whole number from ${min} to ${max}`;

const text = z.string();
const imageReference = z.string().regex(/^$|^[a-z0-9][a-zA-Z0-9._:/-]*(@sha256:[0-9a-f]{64})?$/);
const urlOf = (...protocols: string[]) =>
  z.string().refine((value) => {
    if (value === '') return true;
    try {
      return protocols.includes(new URL(value).protocol);
    } catch {
      return false;
    }
  });

/** Every setting, once: config.ts reads them, backend/.env.example and docs/reference/configuration.md are printed from them. */
export const settingDefinitions = {
  OFFLINE_MODE: setting({
    group: 'Offline operation',
    description: 'Never pull an image: only what Docker already has is used.',
    default: 'False',
    allowed: flagAllowed,
    schema: flag,
  }),
  OFFLINE_MODE_AUTO_DETECT: setting({
    group: 'Offline operation',
    description: 'Refuse a missing image at once while its registry does not answer Docker; a local registry counts.',
    default: 'True',
    allowed: flagAllowed,
    schema: flag,
  }),
  REQUIRE_IMAGE_PRECACHE: setting({
    group: 'Offline operation',
    description: 'Strict: start a model only from an image that is already there, also while online.',
    default: 'False',
    allowed: flagAllowed,
    schema: flag,
  }),
  IMAGE_PULL_TIMEOUT: setting({
    group: 'Offline operation',
    description: 'Seconds that pulling one image may take. Not used in offline mode.',
    default: '600',
    allowed: wholeAllowed(1, 86_400),
    schema: whole(1, 86_400),
  }),

  VLLM_IMAGE: setting({
    group: 'Images',
    description: 'Image of the vLLM engine. Empty: vllm/vllm-openai with the version of versions.env.',
    default: '',
    allowed: 'an image reference such as vllm/vllm-openai:v0.6.3',
    schema: imageReference,
  }),
  LLAMACPP_IMAGE: setting({
    group: 'Images',
    description: 'Image of the llama.cpp engine. Empty: ghcr.io/ggml-org/llama.cpp with the tag of versions.env.',
    default: '',
    allowed: 'an image reference such as ghcr.io/ggml-org/llama.cpp:server-cuda',
    schema: imageReference,
  }),
  CORTEX_REGISTRY_MIRRORS: setting({
    group: 'Images',
    description: 'Other addresses for registries, host=url with commas between.',
    default: '',
    allowed: 'docker.io=http://mirror:5000/docker.io,ghcr.io=…',
    schema: z.string().regex(/^$|^[^=,\s]+=https?:\/\/[^,\s]+(,[^=,\s]+=https?:\/\/[^,\s]+)*$/),
  }),

  CORTEX_MODELS_DIR: setting({
    group: 'Models and engines',
    description: 'Folder whose folders are offered as models.',
    default: '/var/cortex/models',
    allowed: 'an absolute path',
    schema: z.string().startsWith('/'),
  }),
  CORTEX_MODELS_DIR_HOST: setting({
    group: 'Models and engines',
    description: 'The same folder as the Docker host names it. Empty: as CORTEX_MODELS_DIR.',
    default: '',
    allowed: 'an absolute path',
    schema: z.string().regex(/^$|^\//),
  }),
  HF_ENDPOINT: setting({
    group: 'Models and engines',
    description: 'The hub that models are downloaded from. Not asked in offline mode.',
    default: 'https://huggingface.co',
    allowed: 'http(s)://host',
    schema: urlOf('http:', 'https:').refine((value) => value !== ''),
  }),
  CORTEX_ENGINE_NETWORK: setting({
    group: 'Models and engines',
    description: 'Docker network of the engines; Cortex makes it without a way out.',
    default: 'cortex-engines',
    allowed: 'a network name',
    schema: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/),
  }),
  MODEL_START_TIMEOUT_SECONDS: setting({
    group: 'Models and engines',
    description:
      'Seconds that a model may take until it is ready. A model whose weights take longer to read at 50 MB/s has that time.',
    default: '1800',
    allowed: wholeAllowed(10, 86_400),
    schema: whole(10, 86_400),
  }),
  MODEL_HUNG_SECONDS: setting({
    group: 'Models and engines',
    description: 'After so many seconds without an answer an engine that had been ready is started anew.',
    default: '60',
    allowed: wholeAllowed(5, 3600),
    schema: whole(5, 3600),
  }),
  MODEL_DRAIN_SECONDS: setting({
    group: 'Models and engines',
    description:
      'Seconds that requests under way have to end before their engine is stopped or exchanged; new ones get no place there.',
    default: '30',
    allowed: wholeAllowed(0, 3600),
    schema: whole(0, 3600),
  }),
  DOCKER_HOST: setting({
    group: 'Models and engines',
    description: 'Address of the Docker Engine.',
    default: 'unix:///var/run/docker.sock',
    allowed: 'unix:///path or tcp://host:port',
    schema: z.string().regex(/^(unix:\/\/\/|tcp:\/\/|https?:\/\/).+/),
  }),

  GATEWAY_HOST: setting({
    group: 'Listening',
    description: 'Address that both ports listen on. The compose stack sets 0.0.0.0.',
    default: '127.0.0.1',
    allowed: 'an IP address or a host name',
    schema: z.string().regex(/^[a-zA-Z0-9.:_-]+$/),
  }),
  GATEWAY_PORT: setting({
    group: 'Listening',
    description: 'Port of the API.',
    default: '8084',
    allowed: wholeAllowed(0, 65_535),
    schema: whole(0, 65_535),
  }),
  FRONTEND_PORT: setting({
    group: 'Listening',
    description: 'Port of the UI (it answers the API too, so the UI has one origin).',
    default: '3001',
    allowed: wholeAllowed(0, 65_535),
    schema: whole(0, 65_535),
  }),
  REQUEST_MAX_BODY_BYTES: setting({
    group: 'Listening',
    description: 'Largest body of a request to /v1.',
    default: '33554432',
    allowed: wholeAllowed(1024, 1_073_741_824),
    schema: whole(1024, 1_073_741_824),
  }),
  REQUEST_MAX_NESTING: setting({
    group: 'Listening',
    description: 'How deep the JSON of a request to /v1 may be nested.',
    default: '64',
    allowed: wholeAllowed(4, 1000),
    schema: whole(4, 1000),
  }),
  REQUEST_MAX_CHOICES: setting({
    group: 'Listening',
    description: 'Largest n and best_of (llama.cpp: n_cmpl) of a request to /v1.',
    default: '16',
    allowed: wholeAllowed(1, 1024),
    schema: whole(1, 1024),
  }),
  REQUEST_MAX_TOKENS: setting({
    group: 'Listening',
    description: 'Largest max_tokens (max_completion_tokens, max_output_tokens, n_predict) of a request to /v1.',
    default: '1000000',
    allowed: wholeAllowed(1, 100_000_000),
    schema: whole(1, 100_000_000),
  }),
  REQUEST_MAX_IMAGES: setting({
    group: 'Listening',
    description: 'How many images one request to /v1 may hold.',
    default: '32',
    allowed: wholeAllowed(0, 10_000),
    schema: whole(0, 10_000),
  }),
  TRUSTED_PROXIES: setting({
    group: 'Listening',
    description:
      'Reverse proxies whose X-Forwarded-For is believed, with commas between. Matters for keys that are bound to networks.',
    default: '',
    allowed: 'IP addresses and CIDR blocks such as 10.0.0.5,192.168.0.0/24',
    schema: z
      .string()
      .transform((text) =>
        text
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      )
      .pipe(z.array(network)),
  }),
  GATEWAY_WORKERS: setting({
    group: 'Listening',
    description:
      'Processes that answer /v1. More than 1 uses more processors; one that dies takes only its connections along.',
    default: '1',
    allowed: wholeAllowed(1, 64),
    schema: whole(1, 64),
  }),
  METRICS_PORT: setting({
    group: 'Listening',
    description:
      'Port on which Prometheus reads /metrics without a sign-in; 0 is none. Keep it inside: the compose stack does not publish it.',
    default: '0',
    allowed: wholeAllowed(0, 65_535),
    schema: whole(0, 65_535),
  }),
  SESSION_TTL_HOURS: setting({
    group: 'Listening',
    description: 'Hours that a sign-in lasts.',
    default: '12',
    allowed: wholeAllowed(1, 8760),
    schema: whole(1, 8760),
  }),

  CORTEX_DATA_DIR: setting({
    group: 'Storage',
    description:
      "Cortex's own files: embedded database, usage journal, secrets. Empty: .cortex/data of the repository.",
    default: '',
    allowed: 'a path',
    schema: text,
  }),
  CORTEX_PACKAGE_DIR: setting({
    group: 'Storage',
    description: 'Folder with the manifest.json of the loaded package. Empty: .cortex/package of the repository.',
    default: '',
    allowed: 'a path',
    schema: text,
  }),
  DATABASE_URL: setting({
    group: 'Storage',
    description: 'A Postgres server. Empty: the embedded database in CORTEX_DATA_DIR.',
    default: '',
    allowed: 'postgres://user:password@host:5432/database',
    secret: true,
    schema: urlOf('postgres:', 'postgresql:'),
  }),
  DATABASE_PASSWORD_FILE: setting({
    group: 'Storage',
    description: 'File with the password for DATABASE_URL, so that no variable holds it.',
    default: '',
    allowed: 'a path',
    schema: text,
  }),
  USAGE_RETENTION_DAYS: setting({
    group: 'Storage',
    description: 'Days that single requests are kept in the list of usage. Sums by hour and by day stay longer.',
    default: '30',
    allowed: wholeAllowed(1, 3650),
    schema: whole(1, 3650),
  }),
  USAGE_HOURLY_RETENTION_DAYS: setting({
    group: 'Storage',
    description: 'Days that sums by hour are kept. Sums by day are kept for ever.',
    default: '400',
    allowed: wholeAllowed(1, 3650),
    schema: whole(1, 3650),
  }),

  REDIS_URL: setting({
    group: 'Services',
    description: 'A Redis server, where several Cortex servers share limits. Empty: this server counts alone.',
    default: '',
    allowed: 'redis://host:6379',
    secret: true,
    schema: urlOf('redis:', 'rediss:'),
  }),
  REDIS_PASSWORD_FILE: setting({
    group: 'Services',
    description: 'File with the password for REDIS_URL, so that no variable holds it.',
    default: '',
    allowed: 'a path',
    schema: text,
  }),
  LIMITS_WHILE_REDIS_AWAY: setting({
    group: 'Services',
    description:
      'What happens to requests that have limits while Redis does not answer: they are refused with 503, or go on unchecked, which the header x-cortex-limits says.',
    default: 'refuse',
    allowed: 'refuse or allow',
    schema: z.enum(['refuse', 'allow']),
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting({
    group: 'Services',
    description:
      'An OpenTelemetry collector (OTLP by HTTP) inside, which gets a trace of each request to /v1, without prompts, answers and keys. Empty: no traces.',
    default: '',
    allowed: 'http://host:4318',
    schema: urlOf('http:', 'https:'),
  }),
  OTEL_EXPORTER_OTLP_HEADERS: setting({
    group: 'Services',
    description: 'Headers that the collector wants, name=value with commas between.',
    default: '',
    allowed: 'authorization=Bearer%20…',
    secret: true,
    schema: z.string().regex(/^$|^[^=,\s]+=[^,\s]*(,[^=,\s]+=[^,\s]*)*$/),
  }),
  OTEL_SERVICE_NAME: setting({
    group: 'Services',
    description: 'The name that traces carry.',
    default: 'cortex',
    allowed: 'a name',
    schema: z.string().regex(/^[\x20-\x7e]{1,128}$/),
  }),
  OTEL_TRACES_SAMPLER_ARG: setting({
    group: 'Services',
    description: 'Which part of the requests is traced whose clients did not decide it themselves (traceparent).',
    default: '1',
    allowed: 'a number from 0 to 1',
    schema: z
      .string()
      .regex(/^(0|1|0?\.\d{1,9}|1\.0*)$/)
      .transform(Number),
  }),
  DCGM_EXPORTER_URL: setting({
    group: 'Services',
    description:
      "The metrics page of NVIDIA's DCGM exporter, which tells the GPUs and their memory. Empty or without an answer: nvidia-smi is asked.",
    default: '',
    allowed: 'http://host:9400/metrics',
    schema: urlOf('http:', 'https:'),
  }),
  PROMETHEUS_URL: setting({
    group: 'Services',
    description: 'A Prometheus server, for the charts of the UI. Not used yet.',
    default: '',
    allowed: 'http://host:9090',
    schema: urlOf('http:', 'https:'),
  }),

  LOG_LEVEL: setting({
    group: 'Server',
    description: 'How much the log tells.',
    default: 'info',
    allowed: 'fatal, error, warn, info, debug, trace or silent',
    schema: z
      .string()
      .transform((level) => level.toLowerCase())
      .pipe(z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])),
  }),
};

export type SettingName = keyof typeof settingDefinitions;
export const settingNames = Object.keys(settingDefinitions) as readonly SettingName[];

/** The value of every setting by the name of its variable. */
export type Settings = { readonly [N in SettingName]: z.output<(typeof settingDefinitions)[N]['schema']> };
