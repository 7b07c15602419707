import { z } from 'zod';

/** The class of an error in OpenAI's vocabulary; clients switch on it. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'conflict_error'
  | 'rate_limit_error'
  | 'service_unavailable_error'
  | 'server_error';

/**
 * Exit codes of the `cortex` command. 0 is success; 130 is Ctrl-C, after which the same command goes on where it stopped.
 */
export const exitCodes = {
  failed: 1,
  usage: 2,
  integrity: 3,
  docker: 4,
  space: 5,
  network: 6,
  notReady: 7,
  /** Of a dry run: what is described is not what is there. */
  changes: 8,
  interrupted: 130,
} as const;

type Parameters = Record<string, string | number>;

interface ErrorDefinition<P extends Parameters> {
  readonly status: number;
  readonly type: ErrorType;
  readonly exit: number;
  /** What happened, to what, and why. */
  readonly message: (p: P) => string;
  /** What to do next: the command to type where there is one. */
  readonly hint: (p: P) => string;
}

const define =
  <P extends Parameters>() =>
  (
    status: number,
    type: ErrorType,
    exit: keyof typeof exitCodes,
    message: (p: P) => string,
    hint: (p: P) => string,
  ): ErrorDefinition<P> => ({ status, type, exit: exitCodes[exit], message, hint });

type None = Record<never, never>;

/** Every error that Cortex gives, once. docs/reference/errors.md is printed from this list. */
export const errorDefinitions = {
  // Requests
  invalid_request: define<{ detail: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The request is not valid: ${p.detail}`,
    () => 'Correct the field that is named and send the request again.',
  ),
  body_too_large: define<{ limitBytes: number }>()(
    413,
    'invalid_request_error',
    'usage',
    (p) => `The request body is larger than ${p.limitBytes} bytes.`,
    () => 'Send a smaller body, or raise REQUEST_MAX_BODY_BYTES in backend/.env.',
  ),
  headers_too_large: define<None>()(
    431,
    'invalid_request_error',
    'usage',
    () => "The request's headers are too large.",
    () => 'Send fewer or shorter headers; browsers: delete the cookies of this host.',
  ),
  request_timeout: define<None>()(
    408,
    'invalid_request_error',
    'usage',
    () => 'The request did not come whole in time.',
    () => 'Send the request again; if it happens often, look at the network and at proxies in between.',
  ),
  route_not_found: define<{ method: string; path: string }>()(
    404,
    'not_found_error',
    'usage',
    (p) => `There is no ${p.method} ${p.path}.`,
    () => 'docs/reference/api.md lists every route.',
  ),
  method_not_allowed: define<{ method: string; path: string; allowed: string }>()(
    405,
    'invalid_request_error',
    'usage',
    (p) => `${p.path} does not take ${p.method}.`,
    (p) => `Use one of: ${p.allowed}.`,
  ),
  not_found: define<{ what: string; id: string }>()(
    404,
    'not_found_error',
    'usage',
    (p) => `There is no ${p.what} '${p.id}'.`,
    (p) => `List each ${p.what} to see what there is.`,
  ),
  conflict: define<{ detail: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => p.detail,
    () => 'Choose another name, or change the one that exists.',
  ),
  internal_error: define<{ requestId: string }>()(
    500,
    'server_error',
    'failed',
    () => 'Something went wrong inside Cortex.',
    (p) => `make logs shows the cause; look for request ${p.requestId}.`,
  ),

  // Identity
  unauthenticated: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'Nobody is signed in on this request.',
    () => 'Sign in at POST /auth/login and send the cookie cortex_session that it sets.',
  ),
  session_invalid: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'The session is unknown or has ended.',
    () =>
      'Sign in again at POST /auth/login. A session is a random value made by the server: a user name is not one (docs/deviations.md).',
  ),
  login_failed: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'The user name or the password is wrong.',
    () => 'Check both and try again; an administrator can set a new password.',
  ),
  login_throttled: define<{ retryAfterSeconds: number }>()(
    429,
    'rate_limit_error',
    'failed',
    (p) => `Too many failed sign-ins. Wait ${p.retryAfterSeconds} s.`,
    () => 'Wait, then try again.',
  ),
  forbidden: define<{ right: string }>()(
    403,
    'permission_error',
    'usage',
    (p) => `This needs the right '${p.right}', which your role does not have.`,
    () => 'Ask an administrator.',
  ),
  cross_origin: define<None>()(
    403,
    'permission_error',
    'usage',
    () => "A signed-in browser may change things only from Cortex's own pages.",
    () => 'Open the UI at its own address, or use an API key.',
  ),
  already_bootstrapped: define<None>()(
    409,
    'conflict_error',
    'failed',
    () => 'There is an administrator already.',
    () => 'Sign in with that account.',
  ),
  local_token_invalid: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'This route answers only to the command line of this machine.',
    () => 'Use ./cortex bootstrap or make bootstrap-default on the machine that runs Cortex.',
  ),
  password_weak: define<{ minLength: number }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The password is too short: it needs ${p.minLength} characters or more.`,
    () => 'Choose a longer one; four random words do well.',
  ),

  // The OpenAI surface
  api_key_missing: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'You did not provide an API key.',
    () => 'Send the header "Authorization: Bearer ctx_…". An administrator makes keys on the page API keys.',
  ),
  invalid_api_key: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'The API key is not known here.',
    () => 'Check the key, or ask an administrator for a new one.',
  ),
  api_key_expired: define<{ expiredAt: string }>()(
    401,
    'authentication_error',
    'usage',
    (p) => `The API key expired at ${p.expiredAt}.`,
    () => 'Ask an administrator for a new one.',
  ),
  insufficient_scope: define<{ scope: string }>()(
    403,
    'permission_error',
    'usage',
    (p) => `The API key does not have the scope '${p.scope}'.`,
    () => 'Ask an administrator for a key with that scope.',
  ),
  model_not_allowed: define<{ model: string }>()(
    403,
    'permission_error',
    'usage',
    (p) => `The API key may not use the model '${p.model}'.`,
    () => 'GET /v1/models lists what it may use.',
  ),
  model_not_found: define<{ model: string }>()(
    404,
    'not_found_error',
    'usage',
    (p) => `The model '${p.model}' does not exist.`,
    () => 'GET /v1/models lists the models that are there.',
  ),
  model_not_ready: define<{ model: string; state: string }>()(
    503,
    'service_unavailable_error',
    'failed',
    (p) => `The model '${p.model}' is ${p.state}.`,
    () => 'Try again when it is ready; the page Models shows its state.',
  ),
  wrong_task: define<{ model: string; task: string; path: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The model '${p.model}' serves ${p.task} and cannot answer ${p.path}.`,
    () => 'Choose a model that serves this task.',
  ),
  engine_unreachable: define<{ model: string }>()(
    502,
    'server_error',
    'failed',
    (p) => `The engine of '${p.model}' did not answer.`,
    () => "Try again; if it goes on, the model's log on the page Models shows the cause.",
  ),
  engine_failed: define<{ model: string; status: number; detail: string }>()(
    502,
    'server_error',
    'failed',
    (p) => `The engine of '${p.model}' failed (HTTP ${p.status}): ${p.detail}`,
    () => "Try again; the model's log on the page Models shows the cause.",
  ),
  engine_interrupted: define<{ model: string }>()(
    502,
    'server_error',
    'failed',
    (p) => `The engine of '${p.model}' broke off in the middle of its answer.`,
    () => "Try again; the model's log on the page Models shows the cause.",
  ),
  engine_timeout: define<{ model: string; what: string; seconds: number }>()(
    504,
    'server_error',
    'failed',
    (p) => `The engine of '${p.model}' let the gateway wait ${p.what} for more than ${p.seconds} s.`,
    () => "Try again; an administrator sets the model's timeouts on the page Routing.",
  ),
  engine_lacks_endpoint: define<{ model: string; path: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The engine of '${p.model}' does not serve ${p.path}.`,
    () => 'Choose a model whose engine serves it, or another endpoint.',
  ),
  queue_full: define<{ model: string; waiting: number }>()(
    429,
    'rate_limit_error',
    'failed',
    (p) => `${p.waiting} requests wait for '${p.model}' already; it takes no more.`,
    () => 'Send it again after the time in Retry-After.',
  ),
  queue_timeout: define<{ model: string; seconds: number }>()(
    503,
    'service_unavailable_error',
    'failed',
    (p) => `The request waited ${p.seconds} s for '${p.model}' and did not get a place.`,
    () => 'Send it again after the time in Retry-After, or ask an administrator for another replica.',
  ),
  rate_limited: define<{ subject: string; name: string; limit: number; seconds: number }>()(
    429,
    'rate_limit_error',
    'failed',
    (p) => `The limit of this ${p.subject} is reached: ${p.limit} ${p.name.replaceAll('_', ' ')}.`,
    (p) => `Send it again in ${p.seconds} s, or ask an administrator for a higher limit.`,
  ),
  limits_unavailable: define<None>()(
    503,
    'service_unavailable_error',
    'failed',
    () => 'The limits of this key cannot be checked now.',
    () => 'Send it again; if it goes on, make logs shows the cause.',
  ),
  network_not_allowed: define<None>()(
    403,
    'permission_error',
    'usage',
    () => 'The API key may not be used from this address.',
    () => 'Ask an administrator for a key that is made for your network.',
  ),
  credentials_ambiguous: define<None>()(
    400,
    'invalid_request_error',
    'usage',
    () => 'Authorization and x-api-key hold two different keys.',
    () => 'Send one of the two headers.',
  ),
  parameter_forbidden: define<{ model: string; parameter: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `'${p.model}' does not take the parameter '${p.parameter}' here.`,
    () => 'Leave it out: an administrator has forbidden it for this model.',
  ),

  // Models and engines
  docker_unavailable: define<{ address: string; reason: string }>()(
    503,
    'service_unavailable_error',
    'docker',
    (p) => `No Docker Engine was found at ${p.address}: ${p.reason}.`,
    () =>
      'Install Docker Engine (on Debian: apt-get install docker.io), start it (systemctl start docker), then try again. DOCKER_HOST names another address.',
  ),
  docker_failed: define<{ action: string; reason: string }>()(
    502,
    'server_error',
    'docker',
    (p) => `Docker could not ${p.action}: ${p.reason}`,
    () => 'docker info and make logs show more.',
  ),
  image_not_available: define<{ image: string }>()(
    503,
    'service_unavailable_error',
    'notReady',
    (p) => `Docker image '${p.image}' is not available locally.`,
    () =>
      'Start the model again while the machine is online, or load the package that holds the image: make load-offline',
  ),
  image_not_available_offline: define<{ image: string; file: string; detected: string }>()(
    503,
    'service_unavailable_error',
    'notReady',
    (p) =>
      `Docker image '${p.image}' is not available locally. System is in OFFLINE MODE - cannot download from internet.${p.detected === '' ? '' : ` OFFLINE_MODE_AUTO_DETECT found it so: ${p.detected}`}`,
    (p) =>
      `make load-offline loads it from the package; alone: docker load -i cortex-offline-images/${p.file} — then: make verify-offline`,
  ),
  image_not_precached: define<{ image: string; file: string }>()(
    503,
    'service_unavailable_error',
    'notReady',
    (p) =>
      `Docker image '${p.image}' is not available locally. REQUIRE_IMAGE_PRECACHE=True - only cached images are used.`,
    (p) =>
      `make load-offline loads it from the package; alone: docker load -i cortex-offline-images/${p.file} — then: make verify-offline`,
  ),
  image_pull_cancelled: define<{ image: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `The pull of ${p.image} was cancelled.`,
    () => 'Start the model again to pull it anew.',
  ),
  image_pull_timeout: define<{ image: string; seconds: number }>()(
    504,
    'service_unavailable_error',
    'network',
    (p) => `Pulling ${p.image} took longer than IMAGE_PULL_TIMEOUT=${p.seconds} s.`,
    () => 'Give it longer with IMAGE_PULL_TIMEOUT in backend/.env, or load the image from a package: make load-offline',
  ),
  image_pull_no_space: define<{ image: string; reason: string }>()(
    507,
    'server_error',
    'space',
    (p) => `Docker's disk was full while it pulled ${p.image}: ${p.reason}`,
    () => 'docker system df shows what takes the space; free some, then start the model again.',
  ),
  image_pull_denied: define<{ image: string; registry: string; reason: string }>()(
    502,
    'server_error',
    'network',
    (p) => `The registry ${p.registry} gives ${p.image} only to those who sign in: ${p.reason}`,
    (p) =>
      `Check the name. If it is right, pull it by hand on this machine: docker login ${p.registry} && docker pull ${p.image}`,
  ),
  image_pull_unreachable: define<{ image: string; registry: string; reason: string }>()(
    502,
    'service_unavailable_error',
    'network',
    (p) => `Docker can't reach the registry ${p.registry} of ${p.image}: ${p.reason}`,
    () => 'Check the network and the proxy of the Docker Engine, or load the image from a package: make load-offline',
  ),
  folder_not_found: define<{ folder: string; root: string }>()(
    404,
    'not_found_error',
    'usage',
    (p) => `There is no folder '${p.folder}' under ${p.root}.`,
    (p) => `Copy the model's folder there: cp -r FOLDER ${p.root}/`,
  ),
  folder_outside: define<{ folder: string; root: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The folder '${p.folder}' is not inside ${p.root}.`,
    () => 'Choose one of the folders that the page offers.',
  ),
  folder_without_model: define<{ folder: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The folder '${p.folder}' holds no model that can be served: ${p.reason}`,
    () =>
      'A model is a .gguf file, or .safetensors files with config.json and a tokenizer. Copy the missing files and try again.',
  ),
  model_refused: define<{ model: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The model '${p.model}' is given no container: ${p.reason}.`,
    () => 'Correct what is named, or make the model anew.',
  ),
  engine_unfit: define<{ engine: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `${p.engine} can't run this model: ${p.reason}`,
    () => 'Choose the other engine, or another file of the folder.',
  ),
  engine_option_unsupported: define<{ image: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The engine in ${p.image} can't be started with these options: ${p.reason}`,
    () => 'Leave the option empty, or bring an image that has it: docs/reference/engine-options.md lists the versions.',
  ),
  gpu_memory_held: define<{ model: string; neededGiB: string; freeGiB: string; holders: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) =>
      `${p.model} needs ${p.neededGiB} GiB of GPU memory and ${p.freeGiB} GiB can be had: the rest is held by ${p.holders}.`,
    (p) => `Stop ${p.holders}, or give this model less: the memory plan on its page names options that help.`,
  ),
  model_busy: define<{ model: string; state: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `The model '${p.model}' is ${p.state}.`,
    () => 'Stop it first, or wait until it has finished.',
  ),

  model_not_running: define<{ model: string; state: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `The model '${p.model}' is ${p.state}: only one that is ready can be checked or measured.`,
    (p) =>
      p.state === 'stopped'
        ? 'Start it on its page, wait until it is ready, and try again.'
        : 'Its page shows why, and what to do; try again when it is ready.',
  ),
  engine_too_slow: define<{ model: string; seconds: number }>()(
    504,
    'server_error',
    'failed',
    (p) => `The engine of '${p.model}' had not ended its answer after ${p.seconds} s.`,
    () => "Ask for fewer tokens or fewer requests at once; the model's log on the page Models shows whether it works.",
  ),
  engine_answer_empty: define<{ model: string; what: string }>()(
    502,
    'server_error',
    'failed',
    (p) => `The engine of '${p.model}' answered without ${p.what}.`,
    () => "Look at the model's chat template and options, and at its log; then try again.",
  ),
  benchmark_running: define<{ model: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `The model '${p.model}' is being measured already.`,
    () => 'Wait until that benchmark has ended, or cancel it.',
  ),
  benchmark_interrupted: define<{ what: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `${p.what} while it was measured.`,
    () => 'Complete steps are kept. Start the benchmark again for the rest.',
  ),

  model_changed: define<{ model: string; changes: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `The model '${p.model}' was changed since you read it: ${p.changes}.`,
    () => 'Load it again, look at what changed, and make your change on top of it.',
  ),

  recipe_changed: define<{ recipe: string; version: number; username: string }>()(
    409,
    'conflict_error',
    'failed',
    (p) => `The recipe '${p.recipe}' has the version ${p.version} meanwhile, saved by ${p.username}.`,
    () => 'Look at what that version changed, and save yours on top of it.',
  ),
  recipe_unfit: define<{ recipe: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The recipe '${p.recipe}' can't be used for this: ${p.reason}`,
    () => 'Choose a model of the same engine, or give what the recipe leaves open.',
  ),

  // Settings and the server
  setting_invalid: define<{ variable: string; value: string; allowed: string; source: string }>()(
    500,
    'server_error',
    'usage',
    (p) => `${p.variable}=${p.value} (from ${p.source}) is not valid. Allowed: ${p.allowed}.`,
    (p) => `Correct ${p.variable} in ${p.source}, then start again.`,
  ),
  env_line_invalid: define<{ file: string; line: number; reason: string }>()(
    500,
    'server_error',
    'usage',
    (p) => `${p.file}, line ${p.line}: ${p.reason}`,
    () => 'A line is NAME=value, a comment after #, or empty.',
  ),
  port_in_use: define<{ port: number; variable: string }>()(
    500,
    'server_error',
    'failed',
    (p) => `Port ${p.port} is in use by another program.`,
    (p) => `Stop that program, or set ${p.variable} in backend/.env to another port.`,
  ),
  database_unavailable: define<{ reason: string }>()(
    503,
    'service_unavailable_error',
    'failed',
    (p) => `The database can't be opened: ${p.reason}`,
    () => 'Check DATABASE_URL and that Postgres runs (make status), then try again.',
  ),
  schema_newer: define<{ found: string }>()(
    500,
    'server_error',
    'failed',
    (p) => `The database was written by a newer Cortex (migration ${p.found}).`,
    () => 'Start the newer version, or restore a backup of the older one.',
  ),
  server_unreachable: define<{ url: string; reason: string }>()(
    503,
    'service_unavailable_error',
    'failed',
    (p) => `Cortex does not answer at ${p.url}: ${p.reason}`,
    () => 'Start it with make quick-start; make logs shows why it would not start.',
  ),

  sign_in_missing: define<None>()(
    401,
    'authentication_error',
    'usage',
    () => 'Nobody is named who signs in to the server.',
    () =>
      'Name an administrator and the file with the password: --username NAME --password-file FILE, or CORTEX_USERNAME and CORTEX_PASSWORD_FILE.',
  ),
  plain_http: define<{ url: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `The password would go to ${p.url} unencrypted, over the network.`,
    () => 'Name an https:// address, or take the risk: --allow-http.',
  ),
  file_unusable: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `${p.file} can't be opened: ${p.reason}`,
    () => 'Check the name and who may use it, then run the same command again.',
  ),
  description_faulty: define<{ faults: number }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `Nothing was changed: the description has ${p.faults === 1 ? 'a fault' : `${p.faults} faults`}.`,
    () => 'Correct what is named above, then run the same command again.',
  ),
  confirmation_missing: define<None>()(
    400,
    'invalid_request_error',
    'usage',
    () => 'Nothing was changed: there is no terminal at which to ask whether it should be.',
    () => 'Look at what would change with --dry-run, then add --yes.',
  ),
  apply_incomplete: define<{ done: number; failed: number; left: number }>()(
    500,
    'server_error',
    'failed',
    (p) => `Not everything was applied: ${p.done} done, ${p.failed} failed, ${p.left} not tried.`,
    () => 'Settle what failed, then run the same command again: it goes on with what is left.',
  ),

  // The package
  package_not_found: define<{ dir: string }>()(
    404,
    'not_found_error',
    'usage',
    (p) => `There is no package at ${p.dir}: it has no manifest.json.`,
    () => 'Copy the folder cortex-offline-images here, or name it: IMAGE_DIR=/path make load-offline',
  ),
  bill_invalid: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} is not a bill that this version can read: ${p.reason}`,
    () => 'Copy the package from the medium again; if that does not help, prepare it again with make prepare-offline.',
  ),
  package_file_missing: define<{ file: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} is named in the bill but is not in the package.`,
    (p) => `Copy ${p.file} from the medium again, then run the same command.`,
  ),
  package_file_altered: define<{ file: string; detail: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} is not what was packed: ${p.detail}`,
    (p) =>
      `Copy ${p.file} from the medium again; if it fails again the medium is bad: prepare the package again. Nothing of this image was loaded.`,
  ),
  package_file_extra: define<{ file: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} is in the package but not in its bill.`,
    (p) => `Move ${p.file} out of the folder, or find out who put it there.`,
  ),
  package_file_stale: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} is left over from another preparation: ${p.reason}`,
    (p) => `Remove ${p.file}, or copy the whole package again into an empty folder.`,
  ),
  package_mixed: define<{ older: string; newer: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.older} and ${p.newer} are volumes of two different packages.`,
    () =>
      'Name only the volumes of one package; each volume says in its README.txt and manifest.json which one it is of.',
  ),
  volume_missing: define<{ volume: number; volumes: number; file: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `Volume ${p.volume} of ${p.volumes} is not there; it holds a part of ${p.file}.`,
    () => 'Insert it and name its folder as well: cortex offline load --image-dir FOLDER --image-dir FOLDER …',
  ),
  signature_missing: define<{ dir: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `The package at ${p.dir} is not signed, so nobody vouches for it.`,
    () =>
      'Prepare it with a key (cortex offline keygen, then make prepare-offline), or take the risk: --allow-unsigned, which the receipt records.',
  ),
  signature_invalid: define<{ dir: string; fingerprint: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) =>
      `The signature of ${p.dir}/manifest.json is not one of ${p.fingerprint}: the bill or the signature was altered.`,
    () =>
      'Copy manifest.json and manifest.json.sig from the medium again. If it fails again, do not load this package.',
  ),
  key_unknown: define<{ fingerprint: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `The package is signed with ${p.fingerprint}, a key that this machine does not trust.`,
    (p) =>
      `Ask whoever prepared it to read you the fingerprint, by telephone or on paper. If it is the same: ./cortex offline trust ${p.fingerprint}`,
  ),
  key_invalid: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `${p.file} can't be used as a key: ${p.reason}.`,
    () => 'cortex offline keygen makes a pair; --sign-key and --key name the files.',
  ),
  package_older: define<{ sequence: number; createdAt: string; loadedSequence: number; loadedAt: string }>()(
    409,
    'conflict_error',
    'integrity',
    (p) =>
      `This package is number ${p.sequence} of ${p.createdAt}; number ${p.loadedSequence} of ${p.loadedAt} was loaded here before.`,
    () => 'Bring the newer package. To go back on purpose: --allow-older, which the receipt records.',
  ),
  base_missing: define<{ base: string; lacking: string }>()(
    409,
    'conflict_error',
    'notReady',
    (p) => `This package holds only what is new since ${p.base}, and this machine lacks: ${p.lacking}.`,
    () => 'Load that package first, or bring a whole one: make prepare-offline without --base.',
  ),
  base_invalid: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `${p.file} can't be the base: ${p.reason}.`,
    () => 'Name the folder or manifest.json of a package, or what cortex offline inventory wrote inside.',
  ),
  lock_missing: define<{ file: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `There is no lock file at ${p.file}.`,
    () => 'Prepare once without --locked: that writes it.',
  ),
  lock_invalid: define<{ file: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `${p.file} is not a lock file that this version can read.`,
    () => 'Restore it from version control, or remove it and prepare without --locked.',
  ),
  lock_moved: define<{ what: string; reason: string }>()(
    409,
    'conflict_error',
    'network',
    (p) => `${p.what} is not what the lock pins: ${p.reason}.`,
    () => 'Prepare without --locked to take what is there now; the lock file is then written anew.',
  ),
  repair_invalid: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} can't be answered: ${p.reason}.`,
    () =>
      'Make it inside with: cortex offline verify --files --repair-request repair-request.json; answer it from the same package.',
  ),
  receipt_broken: define<{ file: string; line: number; reason: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} was altered: line ${p.line} ${p.reason}.`,
    () => 'Compare it with an exported copy (cortex offline receipt export). What stands before that line is sound.',
  ),
  option_invalid: define<{ option: string; value: string; allowed: string }>()(
    400,
    'invalid_request_error',
    'usage',
    (p) => `${p.option} ${p.value} is not valid. Allowed: ${p.allowed}.`,
    () => 'Correct it and type the command again; --help tells of every option.',
  ),
  models_differ: define<{ model: string; file: string; path: string }>()(
    409,
    'conflict_error',
    'integrity',
    (p) => `The model ${p.model} is there already with another ${p.file} (${p.path}).`,
    () => 'Move that folder away, then run the same command again. Nothing of it was changed.',
  ),
  hub_unreachable: define<{ endpoint: string; reason: string }>()(
    502,
    'server_error',
    'network',
    (p) => `The model hub ${p.endpoint} can't be reached: ${p.reason}`,
    () =>
      'Check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT, then run the same command: it goes on where it stopped.',
  ),
  hub_refused: define<{ model: string; status: number; reason: string }>()(
    502,
    'server_error',
    'network',
    (p) => `The model hub refused ${p.model} (HTTP ${p.status}): ${p.reason}`,
    (p) =>
      p.status === 401 || p.status === 403
        ? 'Accept the licence of the model on the hub and set HF_TOKEN to a token that may read it.'
        : 'Check the name and the revision: hf:org/name@revision',
  ),
  program_missing: define<{ program: string; reason: string }>()(
    500,
    'server_error',
    'failed',
    (p) => `${p.program} is needed and could not be used: ${p.reason}.`,
    (p) => `Install it (on Debian: apt-get install ${p.program}) or see the command's --help.`,
  ),
  archive_invalid: define<{ file: string; reason: string }>()(
    400,
    'invalid_request_error',
    'integrity',
    (p) => `${p.file} is not an image archive: ${p.reason}`,
    () => 'Copy it from the medium again.',
  ),
  image_identity_wrong: define<{ image: string; expected: string; found: string }>()(
    500,
    'server_error',
    'integrity',
    (p) => `${p.image} in Docker is not the image of the package: expected ${p.expected}, found ${p.found}.`,
    () => 'Load it again: make load-offline',
  ),
  not_ready: define<{ missing: string }>()(
    503,
    'service_unavailable_error',
    'notReady',
    (p) => `Not ready for offline operation: ${p.missing}`,
    () => 'Load the package: make load-offline',
  ),
  model_gated: define<{ model: string }>()(
    403,
    'invalid_request_error',
    'network',
    (p) => `The hub gives ${p.model} only to those who may have it, or there is no such model.`,
    () => "Accept its licence on the hub's page, then keep a token that may read it: Add model, From a hub.",
  ),
  download_offline: define<{ endpoint: string }>()(
    409,
    'conflict_error',
    'network',
    (p) => `In offline mode nothing is asked of ${p.endpoint}.`,
    () =>
      'Bring the model in a package (docs/operations/offline-deployment.md), or set OFFLINE_MODE=False; where the page System says that it was detected, OFFLINE_MODE_AUTO_DETECT=False.',
  ),
  disk_full: define<{ path: string; neededBytes: number; freeBytes: number }>()(
    507,
    'server_error',
    'space',
    (p) => `Not enough space at ${p.path}: ${p.neededBytes} bytes are needed, ${p.freeBytes} are free.`,
    () => 'Free some space or choose another folder, then run the same command: it goes on where it stopped.',
  ),
  registry_unreachable: define<{ registry: string; reason: string }>()(
    502,
    'server_error',
    'network',
    (p) => `The registry ${p.registry} can't be reached: ${p.reason}`,
    () =>
      'Check the network, the proxy (HTTPS_PROXY) and CORTEX_REGISTRY_MIRRORS, then run the same command: it goes on where it stopped.',
  ),
  registry_refused: define<{ image: string; status: number; reason: string }>()(
    502,
    'server_error',
    'network',
    (p) => `The registry refused ${p.image} (HTTP ${p.status}): ${p.reason}`,
    () => 'Check the name and tag in versions.env; a private registry needs docker login first.',
  ),
  image_not_in_registry: define<{ image: string }>()(
    404,
    'not_found_error',
    'network',
    (p) => `The registry does not have ${p.image}.`,
    () => 'Check the name and tag in versions.env.',
  ),
  platform_missing: define<{ image: string; platform: string; available: string }>()(
    400,
    'invalid_request_error',
    'network',
    (p) => `${p.image} is not made for ${p.platform}. It is there for: ${p.available}.`,
    () => 'Choose another platform with --platform.',
  ),
  digest_mismatch: define<{ what: string; expected: string; found: string }>()(
    502,
    'server_error',
    'integrity',
    (p) => `${p.what} does not have the digest it should: expected ${p.expected}, found ${p.found}.`,
    () => 'Run the same command again; if it fails again, something between here and the registry alters data.',
  ),
  media_type_unknown: define<{ image: string; mediaType: string }>()(
    400,
    'invalid_request_error',
    'network',
    (p) => `${p.image} has the media type ${p.mediaType}, which is not a container image.`,
    () => 'Check the name in versions.env.',
  ),
  not_built: define<{ path: string }>()(
    500,
    'server_error',
    'failed',
    (p) => `Cortex itself is not built: ${p.path} is missing.`,
    () => 'Build it: npm ci && npm run build',
  ),
  interrupted: define<None>()(
    499,
    'server_error',
    'interrupted',
    () => 'Stopped by you.',
    () => 'Run the same command again: it goes on where it stopped.',
  ),
} as const;

export type ErrorCode = keyof typeof errorDefinitions;

type ParametersOf<C extends ErrorCode> = (typeof errorDefinitions)[C] extends ErrorDefinition<infer P> ? P : never;

/** The one error that Cortex throws: a code of the list with what it is about. */
export class CortexError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'CortexError';
  readonly code: C;
  readonly status: number;
  readonly type: ErrorType;
  readonly exit: number;
  readonly hint: string;
  /** The request field at fault, in OpenAI's error shape. */
  readonly param: string | null;
  /** When the same request may succeed; null where nobody can tell. */
  readonly retryAfterSeconds: number | null;

  constructor(
    code: C,
    parameters: ParametersOf<C>,
    options: { cause?: unknown; param?: string; retryAfterSeconds?: number } = {},
  ) {
    const definition = errorDefinitions[code] as unknown as ErrorDefinition<Parameters>;
    super(definition.message(parameters as Parameters), { cause: options.cause });
    this.code = code;
    this.status = definition.status;
    this.type = definition.type;
    this.exit = definition.exit;
    this.hint = definition.hint(parameters as Parameters);
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }
}

/** The body of every error answer, on /v1 and on the control plane alike: OpenAI's shape with a hint and the request's id. */
export const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
    hint: z.string(),
    request_id: z.string(),
  }),
});
export type ErrorBody = z.infer<typeof errorBody>;

/** Turns an error into its answer's body. */
export function toErrorBody(error: CortexError, requestId: string): ErrorBody {
  return {
    error: {
      message: error.message,
      type: error.type,
      param: error.param,
      code: error.code,
      hint: error.hint,
      request_id: requestId,
    },
  };
}
