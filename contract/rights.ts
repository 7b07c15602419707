import { z } from 'zod';

/** What a signed-in person may do. Every route of the control plane names one; what no role has is refused. */
export const rights = [
  'models:read',
  'models:write',
  'keys:read',
  'keys:write',
  'usage:read',
  'system:read',
  'requests:inspect',
  'chat',
] as const;
export const right = z.enum(rights);
export type Right = z.infer<typeof right>;

export const role = z.enum(['admin', 'user']);
export type Role = z.infer<typeof role>;

/** The rights of each role. */
export const rightsOf: Record<Role, readonly Right[]> = {
  admin: rights,
  user: ['models:read', 'chat'],
};
