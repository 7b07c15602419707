import { CortexError } from '../../../contract/errors.ts';
import type { NewModel } from '../../../contract/models.ts';
import type { EngineFacts } from '../engines/help.ts';
import { launchOf } from './container-spec.ts';

/** @throws CortexError engine_option_unsupported with everything that this engine can't be told */
export function checkOptions(model: NewModel, image: string, facts: EngineFacts): void {
  const { issues } = launchOf(model, facts);
  const [first] = issues;
  if (first === undefined) return;
  const reason = issues.map(({ message }) => message).join(' ');
  throw new CortexError('engine_option_unsupported', { image, reason }, { param: `options.${first.option}` });
}
