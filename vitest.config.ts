import { defineConfig } from 'vitest/config';

/** The tiers are written down in docs/testing.md: `unit`, `db` and `clients` run anywhere; `docker`, `engines`, `offline`, `browser` and `guide` need the ground of tests/ground. */
export default defineConfig({
  test: {
    coverage: {
      provider: 'v8',
      include: ['contract/**', 'docker/**', 'offline/**', 'backend/src/**', 'cli/**'],
      exclude: ['**/*.test.ts'],
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            '{contract,docker,offline,cli}/**/*.test.ts',
            'backend/src/**/*.test.ts',
            'frontend/src/**/*.test.ts',
          ],
          testTimeout: 15_000,
        },
      },
      { test: { name: 'db', include: ['tests/db/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: { name: 'clients', include: ['tests/clients/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 60_000 },
      },
      {
        test: {
          name: 'docker',
          include: ['tests/docker/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'engines',
          include: ['tests/engines/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'offline',
          include: ['tests/offline/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['tests/faults/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'guide',
          include: ['tests/guide/**/*.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
