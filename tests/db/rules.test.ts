import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import * as identityRecords from '../../backend/src/db/identity-records.ts';
import * as keyRecords from '../../backend/src/db/key-records.ts';
import { MemoryLimits } from '../../backend/src/gateway/limits.ts';
import { Balancer } from '../../backend/src/routing/balancer.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { Rules } from '../../backend/src/rules/rules.ts';
import { limit, type NewEndpoint, newEndpoint } from '../../contract/routing.ts';
import { onBothDatabases } from './both-databases.ts';

let counter = 0;
const unique = (name: string) => `${name}-${++counter}`;
const endpointOf = (more: Partial<NewEndpoint> = {}): NewEndpoint =>
  newEndpoint.parse({ name: unique('gpu'), served_name: unique('llama'), url: 'http://10.0.0.5:8000', ...more });

onBothDatabases((database) => {
  const make = () => {
    const { db } = database();
    const table = new RoutingTable();
    const balancer = new Balancer();
    const logger = { warn: () => undefined };
    return {
      db,
      table,
      balancer,
      rules: new Rules({ db, table, balancer, limits: new MemoryLimits(), rootSecret: randomBytes(32), logger }),
    };
  };
  const externalOf = (table: RoutingTable, name: string) => table.parts.externals.find(({ id }) => id === name);

  describe('an external endpoint', () => {
    it('can be changed, and keeps the key that is left out', async () => {
      const { rules, table } = make();
      const given = endpointOf({ api_key: 'secret-1' });
      const { id } = await rules.createEndpoint(given);
      const { api_key: _, ...rest } = given;
      const changed = await rules.updateEndpoint(id, { ...rest, upstream_model: 'other' });
      expect(changed).toMatchObject({ id, upstream_model: 'other', has_api_key: true });
      expect(externalOf(table, given.name)).toMatchObject({ model: 'other', apiKey: 'secret-1' });
    });

    it('does not send the key that it keeps to another address', async () => {
      const { rules, table } = make();
      const given = endpointOf({ api_key: 'secret-1' });
      const { id } = await rules.createEndpoint(given);
      const { api_key: _, ...rest } = given;
      const elsewhere = { ...rest, url: 'http://10.0.0.6:8000' };
      await expect(rules.updateEndpoint(id, elsewhere)).rejects.toMatchObject({
        code: 'invalid_request',
        param: 'api_key',
      });
      expect(externalOf(table, given.name)).toMatchObject({ url: given.url, apiKey: 'secret-1' });
      await rules.updateEndpoint(id, { ...elsewhere, api_key: 'secret-2' });
      expect(externalOf(table, given.name)).toMatchObject({ url: elsewhere.url, apiKey: 'secret-2' });
      expect(await rules.updateEndpoint(id, { ...rest, api_key: null })).toMatchObject({ has_api_key: false });
    });

    it('cannot take the name of another, nor be changed when it is gone', async () => {
      const { rules } = make();
      const [first, second] = [endpointOf(), endpointOf()];
      await rules.createEndpoint(first);
      const { id } = await rules.createEndpoint(second);
      await expect(rules.updateEndpoint(id, { ...second, name: first.name })).rejects.toMatchObject({
        code: 'conflict',
        param: 'name',
      });
      await rules.deleteEndpoint(id);
      await expect(rules.updateEndpoint(id, second)).rejects.toMatchObject({ code: 'not_found' });
    });

    it('is shown as failing once the gateway has given up on it', async () => {
      const { rules, balancer, table } = make();
      const given = endpointOf();
      await rules.createEndpoint(given);
      const made = externalOf(table, given.name);
      if (made === undefined) throw new Error('it is not in the table');
      const shown = async () =>
        (await rules.all()).models.find(({ served_name: name }) => name === given.served_name)?.replicas;
      expect(await shown()).toEqual([{ id: given.name, external: true, health: 'ok' }]);
      for (let n = 0; n < 10; n++) balancer.checked(made, false, Date.now());
      expect(await shown()).toEqual([{ id: given.name, external: true, health: 'failing' }]);
    });
  });

  describe('what can have limits', () => {
    it('is listed by name with its limits, also when only those are left', async () => {
      const { db, rules } = make();
      const organizationId = await identityRecords.ensureOrganization(db, 'Research');
      const username = unique('ada');
      const user = await identityRecords.insertUser(db, {
        organizationId,
        username,
        role: 'user',
        passwordHash: 'x',
        mustChangePassword: false,
      });
      const key = { scopes: ['chat' as const], models: null, networks: null, expires_at: null, prefix: 'ctx_abcdefgh' };
      const owner = { userId: user.id, organizationId };
      const kept = await keyRecords.insertKey(db, { ...key, ...owner, name: 'kept', hash: unique('hash') });
      const revoked = await keyRecords.insertKey(db, { ...key, ...owner, name: 'revoked', hash: unique('hash') });
      await keyRecords.revokeKey(db, revoked);
      const unused = await keyRecords.insertKey(db, { ...key, ...owner, name: 'unused', hash: unique('hash') });
      await keyRecords.revokeKey(db, unused);
      const served = endpointOf();
      await rules.createEndpoint(served);
      const ten = limit.parse({ requests_per_minute: 10 });
      for (const id of [kept, revoked]) await rules.setLimit({ subject: 'key', id, ...ten });

      const subjects = await rules.limitedSubjects();
      const of = (id: string) => subjects.find((one) => one.id === id);
      const none = limit.parse({});
      expect(of(kept)).toMatchObject({ name: 'kept', detail: 'ctx_abcdefgh…', exists: true, limits: ten });
      expect(of(revoked)).toMatchObject({ name: 'revoked', exists: false, limits: ten });
      expect(of(unused)).toBeUndefined();
      expect(of(user.id)).toMatchObject({ subject: 'user', name: username, limits: none });
      expect(of(organizationId)).toMatchObject({ subject: 'organization', name: 'Research', limits: none });
      expect(of(served.served_name)).toMatchObject({ subject: 'model', name: served.served_name, limits: none });
    });
  });
});
