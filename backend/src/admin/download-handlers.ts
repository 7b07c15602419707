import type { downloadRoutes } from '../../../contract/downloads.ts';
import type { Downloads } from '../jobs/downloads.ts';
import type { Handlers } from './handler.ts';

/** The handlers of the routes that download models from a hub. */
export function downloadHandlers(downloads: Downloads): Pick<Handlers, keyof typeof downloadRoutes> {
  return {
    listDownloads: () => downloads.list(),
    lookAtHub: ({ body }) => downloads.look(body),
    startDownload: async ({ body }, { session }) => ({
      download: await downloads.start(body, session.user.username),
    }),
    cancelDownload: async ({ params }) => ({ download: await downloads.cancel(params.id) }),
    resumeDownload: async ({ params }) => ({ download: await downloads.resume(params.id) }),
    deleteDownload: async ({ params }) => {
      await downloads.delete(params.id);
      return { status: 'deleted' };
    },
    setHubToken: async ({ body }) => {
      await downloads.setToken(body.token);
      return { has_token: body.token !== null };
    },
  };
}
