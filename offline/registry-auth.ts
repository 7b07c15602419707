import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const dockerConfig = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
});
const helperAnswer = z.object({ Username: z.string(), Secret: z.string() });

/**
 * What `docker login` keeps for a registry, as the value of a Basic header: from the file itself or from the credential helper
 * that the file names. Null where there is none, or the helper is not on this machine.
 * @param file default: config.json in DOCKER_CONFIG or ~/.docker
 */
export async function registryCredentials(registry: string, file = defaultConfigFile()): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  const config = dockerConfig.safeParse(parseJson(text)).data ?? {};
  const names =
    registry === 'docker.io' ? ['https://index.docker.io/v1/', 'docker.io'] : [registry, `https://${registry}`];
  for (const name of names) {
    const helper = config.credHelpers?.[name] ?? config.credsStore;
    const fromHelper = helper === undefined ? null : await askHelper(helper, name);
    if (fromHelper !== null) return fromHelper;
    const auth = config.auths?.[name]?.auth;
    if (auth !== undefined && auth !== '') return auth;
  }
  return null;
}

const defaultConfigFile = () => join(process.env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** The protocol of docker-credential-helpers: the server's name in, a JSON document out. */
function askHelper(helper: string, registry: string): Promise<string | null> {
  if (!/^[a-z0-9][a-z0-9_.-]*$/i.test(helper)) return Promise.resolve(null);
  return new Promise((resolve) => {
    const child = execFile(`docker-credential-${helper}`, ['get'], { timeout: 20_000 }, (error, stdout) => {
      const answer = error === null ? helperAnswer.safeParse(parseJson(stdout)) : null;
      if (!answer?.success) return resolve(null);
      resolve(Buffer.from(`${answer.data.Username}:${answer.data.Secret}`).toString('base64'));
    });
    child.stdin?.on('error', () => undefined).end(registry);
  });
}
