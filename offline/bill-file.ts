import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bill, billName, parseBill, renderBill } from './bill.ts';
import { writeDurably } from './durable-file.ts';

const loadedFolder = 'packages';

/** The bill of a package folder or of its first volume, or null where there is none. @throws CortexError bill_invalid */
export async function readBill(dir: string): Promise<Bill | null> {
  const bytes = await readBillBytes(dir);
  return bytes === null ? null : parseBill(bytes, join(dir, billName));
}

export async function readBillBytes(dir: string): Promise<Buffer | null> {
  const names = await readdir(dir).catch((): string[] => []);
  const volumes = names.filter((name) => /^volume-\d{3,4}$/.test(name)).sort();
  for (const root of [dir, ...volumes.map((name) => join(dir, name))]) {
    const bytes = await readFile(join(root, billName)).catch(() => null);
    if (bytes !== null) return bytes;
  }
  return null;
}

/** Keeps the bill of what was loaded, for readiness, deltas and the guard against going back. */
export async function keepLoadedBill(receiptDir: string, bill: Bill): Promise<void> {
  const bytes = renderBill(bill);
  await mkdir(join(receiptDir, loadedFolder), { recursive: true });
  await writeDurably(
    join(receiptDir, loadedFolder, `${String(bill.sequence).padStart(8, '0')}-${bill.package_id.slice(0, 16)}.json`),
    bytes,
  );
  await writeDurably(join(receiptDir, billName), bytes);
}

/** Every bill that was loaded here, the newest last. One that can't be read any more is left out. */
export async function readLoadedBills(receiptDir: string): Promise<Bill[]> {
  const names = await readdir(join(receiptDir, loadedFolder)).catch((): string[] => []);
  const bills: Bill[] = [];
  for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
    try {
      const path = join(receiptDir, loadedFolder, name);
      bills.push(parseBill(await readFile(path), path));
    } catch {
      // The receipt log still has it; an unreadable copy must not keep the machine from starting.
    }
  }
  return bills;
}

/**
 * What this machine was given, all packages together: the newest loaded bill, with the images of older ones that it does not
 * name. Null where nothing was loaded. @throws CortexError bill_invalid
 */
export async function readLoadedBill(receiptDir: string): Promise<Bill | null> {
  const newest = await readBill(receiptDir);
  if (newest === null) return null;
  const images = [...newest.images];
  for (const older of (await readLoadedBills(receiptDir)).reverse()) {
    for (const image of older.images)
      if (!images.some(({ reference, platform }) => reference === image.reference && platform === image.platform))
        images.push(image);
  }
  return { ...newest, images };
}
