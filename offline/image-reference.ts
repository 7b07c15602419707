import { CortexError } from '../contract/errors.ts';

export interface ImageReference {
  /** `docker.io`, `ghcr.io`, `localhost:5000` */
  readonly registry: string;
  /** `library/postgres`, `vllm/vllm-openai` */
  readonly repository: string;
  readonly tag: string;
  readonly digest: string | null;
}

const domain = /^(localhost|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(:\d{1,5})?$/;
const pathPart = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
export const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** Reads a reference as Docker does: no registry means docker.io, one word means library/, no tag means latest. @throws CortexError invalid_request */
export function parseImageReference(text: string): ImageReference {
  const refuse = () =>
    new CortexError('invalid_request', { detail: `'${text.slice(0, 200)}' is not an image reference.` });
  const [named = '', digest = null, ...more] = text.split('@');
  if (more.length > 0 || (digest !== null && !digestPattern.test(digest)) || named.length > 255) throw refuse();
  const slash = named.indexOf('/');
  const first = slash === -1 ? '' : named.slice(0, slash);
  const hasRegistry = first.includes('.') || first.includes(':') || first === 'localhost';
  const registry = hasRegistry ? first : 'docker.io';
  const rest = hasRegistry ? named.slice(slash + 1) : named;
  const colon = rest.lastIndexOf(':');
  const path = colon > rest.lastIndexOf('/') ? rest.slice(0, colon) : rest;
  const tag = path === rest ? 'latest' : rest.slice(colon + 1);
  const repository = registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path;
  if (!domain.test(registry) || !tagPattern.test(tag) || !repository.split('/').every((part) => pathPart.test(part)))
    throw refuse();
  return { registry, repository, tag, digest };
}

/** The whole name, as containerd keeps it: docker.io/library/postgres:16 */
export const canonicalName = (reference: ImageReference): string =>
  `${reference.registry}/${reference.repository}:${reference.tag}`;

/** The short name, as `docker images` shows it: postgres:16 */
export function familiarName(reference: ImageReference): string {
  const { registry, repository, tag } = reference;
  if (registry !== 'docker.io') return `${registry}/${repository}:${tag}`;
  return `${repository.replace(/^library\//, '')}:${tag}`;
}
