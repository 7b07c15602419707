import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../backend/src/db/open.ts';
import { insertUsage } from '../../backend/src/db/usage-records.ts';
import { type PostgresServer, startPostgres } from '../db/postgres-server.ts';
import { usageOf } from '../db/usage-record.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const minuteMs = 60_000;

describe('the usage page of a busy installation', () => {
  const cortex = new EmbeddedCortex();
  let postgres: PostgresServer;
  let account: { username: string; password: string };

  beforeAll(async () => {
    postgres = await startPostgres();
    await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock', DATABASE_URL: postgres.url });
    account = await cortex.signInForGood();
    const made = await cortex.call('createKey', { body: { name: 'support-bot', scopes: ['chat'] } });
    const { db, close } = await openDatabase({ url: postgres.url });
    const now = Date.now();
    await insertUsage(
      db,
      Array.from({ length: 400 }, (_, n) =>
        usageOf({
          request_id: `req_${String(n).padStart(4, '0')}`,
          at: new Date(now - n * 3 * minuteMs).toISOString(),
          key_id: n % 3 === 0 ? null : made.key.id,
          served_name: `a-model-with-a-rather-long-name-${n % 12}`,
          first_byte_ms: 80 + (n % 50) * 20,
          duration_ms: 900 + n * 10,
          ...(n % 25 === 0 ? { outcome: 'engine_error' as const, status: 502, cause: 'engine_interrupted' } : {}),
        }),
      ),
    );
    await close();
  });
  afterAll(async () => {
    await cortex.stop();
    await postgres?.stop();
  });

  it('can be read, split, filtered and paged, at every width', async () => {
    const { context, close } = await openChromium();
    try {
      const broken: string[] = [];
      context.on('weberror', (error) => broken.push(error.error().message));
      const page = await openSignedIn(context, cortex.ui, account);

      for (const [name, path] of [
        ['usage-day', '/usage'],
        ['usage-by-model', '/usage?range=7d&split=model&show=tokens'],
        ['usage-year-by-key', '/usage?range=1y&split=key'],
      ] as const) {
        await page.goto(cortex.ui + path);
        await page.getByRole('img', { name: /(Requests|Tokens) by/ }).waitFor();
        await page.locator('tbody tr').first().waitFor();
        await expectFitForAll(page, name);
      }

      await page.goto(`${cortex.ui}/usage`);
      await expect.poll(() => page.locator('tbody tr').count()).toBe(50);
      await page.getByRole('button', { name: 'Load more' }).click();
      await expect.poll(() => page.locator('tbody tr').count()).toBe(100);

      await page.getByLabel('Outcome', { exact: true }).selectOption('engine_error');
      await expect.poll(() => page.locator('tbody tr').count()).toBe(16);
      expect(page.url()).toContain('outcome=engine_error');
      await page.locator('tbody button').first().click();
      const details = page.getByRole('dialog');
      await details.getByText('engine_interrupted').waitFor();
      expect(page.url()).toContain('request=req_0000');
      await page.reload();
      await details.getByText('engine_interrupted').waitFor();
      await details.getByRole('button', { name: 'Close' }).click();

      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: 'CSV' }).click();
      const file = await download;
      expect(file.suggestedFilename()).toBe('cortex-usage-export.csv');
      expect(
        readFileSync(await file.path(), 'utf8')
          .trim()
          .split('\r\n'),
      ).toHaveLength(17);
      expect(broken).toEqual([]);
    } finally {
      await close();
    }
  });
});
