import { CortexError } from '../../../contract/errors.ts';
import { parseImageReference } from '../../../offline/image-reference.ts';

const noSpace = /no space left on device|disk quota exceeded/i;
const denied =
  /pull access denied|unauthorized|authentication required|no basic auth credentials|^denied\b|: denied\b|403 Forbidden/i;
const unknown = /manifest unknown|manifest for \S+ not found|name unknown|repository \S+ not found|: not found$/i;
const unreachable =
  /dial tcp|no such host|i\/o timeout|TLS handshake|connection (?:refused|reset)|network is unreachable|proxyconnect|unexpected EOF|Client\.Timeout|server gave HTTP response/i;

/** A pull's failure in words for people, where Docker's own are known. */
export function pullFailure(image: string, error: unknown): unknown {
  if (!(error instanceof CortexError) || error.code !== 'docker_failed') return error;
  const reason = error.message.slice(error.message.indexOf(': ') + 2);
  const { registry } = parseImageReference(image);
  const cause = { cause: error };
  if (noSpace.test(reason)) return new CortexError('image_pull_no_space', { image, reason }, cause);
  if (denied.test(reason)) return new CortexError('image_pull_denied', { image, registry, reason }, cause);
  if (unknown.test(reason)) return new CortexError('image_not_in_registry', { image }, cause);
  if (unreachable.test(reason)) return new CortexError('image_pull_unreachable', { image, registry, reason }, cause);
  return error;
}
