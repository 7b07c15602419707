import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { z } from 'zod';
import { limitSubject } from '../../contract/routing.ts';
import { usageOutcome } from '../../contract/usage.ts';
import { ApiError } from './api/client.ts';
import { queries, queryClient } from './api/queries.ts';
import { Broken, NotFound } from './components/dead-end.tsx';
import { Frame } from './frame/frame.tsx';
import { modelGroups } from './model-groups.ts';
import { SignIn } from './pages/sign-in.tsx';
import { usageRanges } from './usage-range.ts';

const root = createRootRoute();

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: z.object({
    /** A place of this UI: with two slashes it would be another host. */
    to: z
      .string()
      .regex(/^\/(?![/\\])/)
      .optional()
      .catch(undefined),
  }),
  component: SignIn,
});

/** Everything behind the sign-in. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: Frame,
  beforeLoad: async ({ location }) => {
    try {
      const { user } = await queryClient.ensureQueryData(queries.me);
      if (user.must_change_password && location.pathname !== '/password') throw redirect({ to: '/password' });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401)
        throw redirect({ to: '/sign-in', search: { to: location.href } });
      throw error;
    }
  },
});

const index = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/models' });
  },
});

const password = createRoute({
  getParentRoute: () => inside,
  path: '/password',
  component: lazyRouteComponent(() => import('./pages/change-password.tsx'), 'ChangePassword'),
});
const models = createRoute({
  getParentRoute: () => inside,
  path: '/models',
  validateSearch: z.object({ find: z.string().optional(), show: z.enum(modelGroups).optional() }),
  component: lazyRouteComponent(() => import('./pages/models.tsx'), 'Models'),
});
const addModel = createRoute({
  getParentRoute: () => inside,
  path: '/models/add',
  validateSearch: z.object({
    step: z.enum(['source', 'hub', 'folder', 'file', 'configure', 'review']).optional(),
    folder: z.string().optional(),
    file: z.string().optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/add-model.tsx'), 'AddModel'),
});
const model = createRoute({
  getParentRoute: () => inside,
  path: '/models/$id',
  component: lazyRouteComponent(() => import('./pages/model.tsx'), 'ModelPage'),
});
const benchmark = createRoute({
  getParentRoute: () => inside,
  path: '/models/$id/benchmark',
  validateSearch: z.object({
    /** The run that is open; the newest one where none is named. */
    run: z.string().optional(),
    /** The run that it is compared with. */
    with: z.string().optional(),
    /** The run that is about to be deleted. */
    remove: z.string().optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/benchmark.tsx'), 'BenchmarkPage'),
});
const editModel = createRoute({
  getParentRoute: () => inside,
  path: '/models/$id/edit',
  component: lazyRouteComponent(() => import('./pages/edit-model.tsx'), 'EditModel'),
});
const recipes = createRoute({
  getParentRoute: () => inside,
  path: '/recipes',
  validateSearch: z.object({ add: z.enum(['model', 'file']).optional() }),
  component: lazyRouteComponent(() => import('./pages/recipes.tsx'), 'Recipes'),
});
const recipe = createRoute({
  getParentRoute: () => inside,
  path: '/recipes/$id',
  validateSearch: z.object({
    version: z.number().int().min(1).optional(),
    /** The version that it is compared with. */
    from: z.number().int().min(1).optional(),
    use: z.enum(['apply', 'model', 'save', 'delete']).optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/recipe.tsx'), 'RecipePage'),
});
const playground = createRoute({
  getParentRoute: () => inside,
  path: '/playground',
  validateSearch: z.object({ model: z.string().optional() }),
  component: lazyRouteComponent(() => import('./pages/playground.tsx'), 'Playground'),
});
const keys = createRoute({
  getParentRoute: () => inside,
  path: '/keys',
  validateSearch: z.object({ find: z.string().optional(), add: z.enum(['key']).optional() }),
  component: lazyRouteComponent(() => import('./pages/keys.tsx'), 'Keys'),
});
const usage = createRoute({
  getParentRoute: () => inside,
  path: '/usage',
  validateSearch: z.object({
    range: z.enum(usageRanges).optional(),
    split: z.enum(['model', 'key']).optional(),
    show: z.enum(['tokens']).optional(),
    model: z.string().optional(),
    key: z.string().optional(),
    outcome: usageOutcome.optional(),
    /** The request whose details are open. */
    request: z.string().optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/usage.tsx'), 'Usage'),
});
const routing = createRoute({
  getParentRoute: () => inside,
  path: '/routing',
  validateSearch: z.object({
    /** What is being changed, by its name or id. */
    serving: z.string().optional(),
    endpoint: z.string().optional(),
    alias: z.string().optional(),
    add: z.enum(['endpoint', 'alias']).optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/routing.tsx'), 'Routing'),
});
const limits = createRoute({
  getParentRoute: () => inside,
  path: '/limits',
  validateSearch: z.object({
    show: limitSubject.optional(),
    /** Whose limits are being changed: its kind and, once chosen, its id. */
    edit: z.string().optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/limits.tsx'), 'Limits'),
});
const system = createRoute({
  getParentRoute: () => inside,
  path: '/system',
  component: lazyRouteComponent(() => import('./pages/system.tsx'), 'System'),
});

const inspector = createRoute({
  getParentRoute: () => inside,
  path: '/inspector',
  validateSearch: z.object({
    /** The request whose details are open. */
    request: z.string().optional(),
  }),
  component: lazyRouteComponent(() => import('./pages/inspector.tsx'), 'InspectorPage'),
});

const lost = createRoute({ getParentRoute: () => inside, path: '$', component: NotFound });
const tree = root.addChildren([
  signIn,
  inside.addChildren([
    index,
    password,
    models,
    addModel,
    model,
    editModel,
    benchmark,
    recipes,
    recipe,
    routing,
    playground,
    keys,
    limits,
    usage,
    inspector,
    system,
    lost,
  ]),
]);
export const router = createRouter({
  routeTree: tree,
  defaultPreload: 'intent',
  defaultErrorComponent: Broken,
  defaultNotFoundComponent: NotFound,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
