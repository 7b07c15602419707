import { CortexError } from '../../../contract/errors.ts';
import {
  type Engine,
  type LaunchPlan,
  type ModelDraft,
  type NewModel,
  newModel,
  type PlanIssue,
} from '../../../contract/models.ts';
import type { ModelRecord } from '../db/model-records.ts';
import type { EngineFacts } from '../engines/help.ts';
import { factsOfName, launchOf, needsNewContainer } from './container-spec.ts';
import { readModel } from './edit.ts';
import type { EngineRoom } from './engine-room/room.ts';
import type { ImageGate } from './image-gate.ts';
import { shownArguments, shownVariables } from './secrets.ts';

export interface PlanContext {
  readonly room: EngineRoom;
  readonly gate: ImageGate;
  readonly listModels: () => Promise<readonly ModelRecord[]>;
  /** Throws where the folder can't serve the model. */
  readonly checkFolder: (model: NewModel) => Promise<void>;
  readonly memoryOf: (
    model: NewModel,
    before: ModelRecord | null,
    version: string | null,
  ) => Promise<LaunchPlan['memory']>;
}

const issueOf = (error: unknown, field: string | null = null): PlanIssue => {
  if (!(error instanceof CortexError)) throw error;
  return { param: error.param ?? field, message: error.message, hint: error.hint };
};

/**
 * The container that a draft would get, and everything that stands against it. What is wrong in one field does not hide
 * what is wrong in another: such a field is left out of the command.
 */
export async function planDraft(draft: ModelDraft, context: PlanContext): Promise<LaunchPlan> {
  const records = await context.listModels();
  const before = records.find(({ id }) => id === draft.id) ?? null;
  const { model, issues } = readDraft(draft, before);
  const image = context.room.imageOf(draft.engine);
  const asked = await askImage(draft.engine, image, context);
  issues.push(...asked.issues);
  const { facts, gpus, cached } = asked;
  const plan = {
    image,
    image_cached: cached,
    engine_version: facts.version,
    image_asked: facts.flags !== null,
    network: context.room.network,
    gpus,
    restarts: false,
  };
  if (model === null) return { ...plan, issues, env: [], command: [], mounts: [], memory: null };

  await context.checkFolder(model).catch((error: unknown) => issues.push(issueOf(error, 'folder')));
  if (records.some((record) => record !== before && record.served_name === model.served_name)) {
    const detail = `Another model is served as '${model.served_name}'.`;
    issues.push(issueOf(new CortexError('conflict', { detail }, { param: 'served_name' })));
  }
  for (const { option, message } of launchOf(model, facts).issues) {
    const { hint } = new CortexError('engine_option_unsupported', { image, reason: message });
    issues.push({ param: `options.${option}`, message, hint });
  }
  const nobody = { id: 'new', wanted: 'stopped', createdAt: '', version: 0 } as const;
  const shown = { ...model, options: { ...model.options, extra_env: shownVariables(model.options.extra_env) } };
  const record = { ...shown, ...nobody } as ModelRecord;
  const spec = context.room.preview(record, facts);
  return {
    ...plan,
    restarts: before?.wanted === 'running' && needsNewContainer(before, { ...model, ...nobody }),
    issues,
    memory: await context.memoryOf(model, before, facts.version),
    env: [...(spec.Env ?? [])],
    command: shownArguments([...(spec.Entrypoint ?? []), ...(spec.Cmd ?? [])]),
    mounts: (spec.HostConfig?.Mounts ?? []).flatMap((mount) =>
      mount.Type === 'bind' ? [`${mount.Source} → ${mount.Target} (read-only)`] : [],
    ),
  };
}

/** The model of a draft, with the fields at fault left out; null where it can't be told without them. */
function readDraft(draft: ModelDraft, before: ModelRecord | null): { model: NewModel | null; issues: PlanIssue[] } {
  const read = newModel.safeParse(draft);
  if (read.success) {
    try {
      return { model: readModel(read.data, before), issues: [] };
    } catch (error) {
      return { model: read.data, issues: [issueOf(error)] };
    }
  }
  const issues: PlanIssue[] = [];
  const options = { ...draft.options };
  for (const issue of read.error.issues) {
    const [field, option] = issue.path.map(String);
    if (issue.code === 'unrecognized_keys' && field === 'options') {
      for (const key of issue.keys) {
        delete options[key];
        issues.push({ param: `options.${key}`, message: `There is no option '${key}'.`, hint: null });
      }
      continue;
    }
    if (field === 'options' && option !== undefined) delete options[option];
    issues.push({ param: issue.path.join('.') || null, message: issue.message, hint: null });
  }
  const mended = newModel.safeParse({ ...draft, options });
  return { model: mended.success ? mended.data : null, issues };
}

async function askImage(
  engine: Engine,
  image: string,
  { room, gate }: PlanContext,
): Promise<{ facts: EngineFacts; gpus: boolean; cached: boolean; issues: PlanIssue[] }> {
  const nothing = { facts: factsOfName(engine, image), gpus: false, cached: false };
  try {
    const gpus = await room.hasGpus();
    if (!(await gate.isCached(image))) {
      const issues = await gate.check(image).then(
        () => [],
        (error: unknown) => [issueOf(error)],
      );
      return { ...nothing, gpus, issues };
    }
    const facts = await room.ask(engine).catch(() => nothing.facts);
    return { facts, gpus, cached: true, issues: [] };
  } catch (error) {
    return { ...nothing, issues: [issueOf(error)] };
  }
}
