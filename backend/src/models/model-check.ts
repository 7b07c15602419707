import { CortexError } from '../../../contract/errors.ts';
import { failureOf } from '../../../contract/failure.ts';
import type { CheckKind, ModelCheck, ReplicaCheck } from '../../../contract/model-check.ts';
import type { Model } from '../../../contract/models.ts';
import type { MeasuredEngines } from '../gateway/measured-engines.ts';
import type { MeasuredAnswer } from '../gateway/measured-request.ts';
import type { Endpoint } from '../routing/table.ts';
import { checkQuestions } from './check-answers.ts';
import { containerName } from './container-spec.ts';

type Engines = Pick<MeasuredEngines, 'endpoints' | 'ask'>;

/** A large model on a CPU takes so long for a few words. */
const timeoutMs = 120_000;

/**
 * Sends one small request to each replica of a model.
 * @throws CortexError model_not_running
 */
export async function checkModel(model: Model, engines: Engines): Promise<ModelCheck> {
  const endpoints = engines.endpoints(model.id);
  if (endpoints.length === 0)
    throw new CortexError('model_not_running', { model: model.served_name, state: model.state });
  const replicas = await Promise.all(
    Array.from({ length: model.replicas }, (_, replica) => {
      const endpoint = endpoints.find(({ id }) => id === containerName(model.id, replica));
      return endpoint === undefined ? notReady(model, replica) : checkReplica(model, replica, endpoint, engines);
    }),
  );
  return { ok: replicas.every(({ ok }) => ok), at: new Date().toISOString(), replicas };
}

const nothing = {
  ...{ request: null, answer: null, prompt_tokens: null, completion_tokens: null },
  ...{ first_token_ms: null, duration_ms: null, tokens_per_second: null, error: null, note: null },
};

/** What a model may be asked for, the likeliest first. */
function kindsOf({ task, options }: Model): readonly [CheckKind, CheckKind?] {
  if (task === 'generate') return ['chat', 'completions'];
  return 'pooling' in options && options.pooling === 'rank' ? ['rerank'] : ['embeddings', 'rerank'];
}

function notReady(model: Model, replica: number): ReplicaCheck {
  const state = model.replica_states.find((one) => one.replica === replica)?.state ?? 'stopped';
  const error = new CortexError('model_not_running', { model: `${model.served_name}, replica ${replica}`, state });
  return { ...nothing, replica, ok: false, kind: kindsOf(model)[0], error: failureOf(error) };
}

/** What it refuses, it is asked in another way: not each model has a chat template, not each one without text embeds. */
async function checkReplica(model: Model, replica: number, endpoint: Endpoint, engines: Engines) {
  const [first, second] = kindsOf(model);
  const found = await ask(first, model, replica, endpoint, engines);
  if (found.error === null || second === undefined || !refusals.has(found.error.code)) return found;
  const other = await ask(second, model, replica, endpoint, engines);
  if (!other.ok) return found;
  return { ...other, note: `It does not answer ${checkQuestions[first].path}: ${found.error.message}` };
}

const refusals: ReadonlySet<string> = new Set(['engine_failed', 'engine_lacks_endpoint']);

async function ask(
  kind: CheckKind,
  model: Model,
  replica: number,
  endpoint: Endpoint,
  engines: Engines,
): Promise<ReplicaCheck> {
  const { path, body, wanted, read } = checkQuestions[kind];
  const told = { ...nothing, replica, kind, request: { path, body: { model: endpoint.model, ...body } } };
  const beganAtMs = performance.now();
  try {
    const found = await engines.ask(endpoint, { path, body, timeoutMs }, new AbortController().signal);
    const answer = read(found.body.toString('utf8'));
    const error =
      answer === null ? new CortexError('engine_answer_empty', { model: model.served_name, what: wanted }) : null;
    return {
      ...told,
      ...figuresOf(found),
      ok: error === null,
      answer,
      error: error === null ? null : failureOf(error),
    };
  } catch (error) {
    return { ...told, ok: false, duration_ms: performance.now() - beganAtMs, error: failureOf(error) };
  }
}

function figuresOf({ firstTextMs, durationMs, promptTokens, completionTokens }: MeasuredAnswer) {
  const isTimed = firstTextMs !== null && completionTokens !== null && completionTokens > 1 && durationMs > firstTextMs;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    first_token_ms: firstTextMs,
    duration_ms: durationMs,
    tokens_per_second: isTimed ? ((completionTokens - 1) * 1000) / (durationMs - firstTextMs) : null,
  };
}
