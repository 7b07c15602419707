import type { z } from 'zod';
import { benchmarkRoutes } from './benchmarks.ts';
import { configurationRoutes } from './configuration.ts';
import { downloadRoutes } from './downloads.ts';
import { identityRoutes } from './identity.ts';
import { imagePullRoutes } from './image-pulls.ts';
import { inspectorRoutes } from './inspector.ts';
import { keyRoutes } from './keys.ts';
import { memoryRoutes } from './memory.ts';
import { modelCheckRoutes } from './model-check.ts';
import { modelEditRoutes } from './model-edit.ts';
import { modelLogRoutes } from './model-logs.ts';
import { modelRoutes } from './models.ts';
import { onDemandRoutes } from './on-demand.ts';
import { recipeRoutes } from './recipes.ts';
import type { Route } from './route.ts';
import { routingRoutes } from './routing.ts';
import { systemRoutes } from './system.ts';
import { usageRoutes } from './usage.ts';
import { usageAnalyticsRoutes } from './usage-analytics.ts';

/** Every route of the control plane by its name. The server must handle each; a missing handler does not compile. */
export const routes = {
  ...identityRoutes,
  ...keyRoutes,
  ...downloadRoutes,
  ...imagePullRoutes,
  ...inspectorRoutes,
  ...memoryRoutes,
  ...modelRoutes,
  ...modelCheckRoutes,
  ...benchmarkRoutes,
  ...modelLogRoutes,
  ...modelEditRoutes,
  ...onDemandRoutes,
  ...recipeRoutes,
  ...configurationRoutes,
  ...routingRoutes,
  ...systemRoutes,
  ...usageRoutes,
  ...usageAnalyticsRoutes,
};
export type Routes = typeof routes;
export type RouteName = keyof Routes;

type Output<R extends Route, K extends 'params' | 'query' | 'body'> =
  R extends Record<K, infer S extends z.ZodType> ? z.output<S> : undefined;
type Input<R extends Route, K extends 'params' | 'query' | 'body'> =
  R extends Record<K, infer S extends z.ZodType> ? z.input<S> : undefined;

/** What a handler gets: checked and with defaults filled in. */
export interface RouteRequest<R extends Route> {
  readonly params: Output<R, 'params'>;
  readonly query: Output<R, 'query'>;
  readonly body: Output<R, 'body'>;
}
/** What a client sends. */
export interface RouteInput<R extends Route> {
  readonly params: Input<R, 'params'>;
  readonly query: Input<R, 'query'>;
  readonly body: Input<R, 'body'>;
}
export type RouteResponse<R extends Route> = z.output<R['response']>;
