import { z } from 'zod';
import { right, role } from './rights.ts';
import { defineRoute } from './route.ts';

/** Fewest characters of a password. */
export const passwordMinLength = 12;

export const user = z.object({ id: z.string(), username: z.string(), role, must_change_password: z.boolean() });

export const me = z.object({
  user,
  rights: z.array(right),
  version: z.string(),
  offline_mode: z.boolean(),
});
export type Me = z.infer<typeof me>;

const credentials = z.object({ username: z.string().min(1).max(255), password: z.string().min(1).max(1024) });
const ok = z.object({ status: z.literal('ok') });

export const identityRoutes = {
  login: defineRoute({
    method: 'POST',
    path: '/auth/login',
    access: 'public',
    summary: 'Sign in; sets the cookie cortex_session',
    body: credentials,
    response: me,
  }),
  logout: defineRoute({
    method: 'POST',
    path: '/auth/logout',
    access: 'session',
    summary: 'End this session',
    response: ok,
  }),
  me: defineRoute({ method: 'GET', path: '/auth/me', access: 'session', summary: 'Who is signed in', response: me }),
  changePassword: defineRoute({
    method: 'POST',
    path: '/auth/password',
    access: 'session',
    summary: 'Change the own password; ends all other sessions of the user',
    body: z.object({ current: z.string().max(1024), next: z.string().max(1024) }),
    response: ok,
  }),
  bootstrap: defineRoute({
    method: 'POST',
    path: '/admin/bootstrap',
    access: 'local',
    summary: 'Create the first administrator with a generated password',
    body: z.object({
      username: z.string().min(1).max(255).default('admin'),
      organization: z.string().min(1).max(128).default('Default'),
    }),
    response: z.object({ username: z.string(), password: z.string() }),
  }),
};
