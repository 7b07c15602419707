import { describe, expect, it } from 'vitest';
import { passwordMinLength } from '../../../contract/identity.ts';
import { generatePassword, hashPassword, verifyPassword } from './passwords.ts';

describe('a stored password', () => {
  it('is known again, and only it', async () => {
    const stored = await hashPassword('correct horse battery');
    expect(await verifyPassword('correct horse battery', stored)).toBe(true);
    expect(await verifyPassword('correct horse batterz', stored)).toBe(false);
    expect(stored).not.toContain('correct');
  });

  it('differs for two users with the same password', async () => {
    expect(await hashPassword('same')).not.toBe(await hashPassword('same'));
  });

  it('is the same password however its accents are typed', async () => {
    expect(await verifyPassword('caf\u0065\u0301', await hashPassword('caf\u00e9'))).toBe(true);
  });

  it('that is damaged fits nothing', async () => {
    expect(await verifyPassword('', 'scrypt$')).toBe(false);
    expect(await verifyPassword('', '')).toBe(false);
  });
});

it('a generated password is long enough and never the same', () => {
  const made = new Set(Array.from({ length: 100 }, generatePassword));
  expect(made.size).toBe(100);
  for (const password of made) expect(password).toMatch(/^([a-z2-9]{4}-){4}[a-z2-9]{4}$/);
  expect([...made][0]?.length).toBeGreaterThanOrEqual(passwordMinLength);
});
