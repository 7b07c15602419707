import { readdir } from 'node:fs/promises';
import { CortexError } from '../contract/errors.ts';
import type { Bill } from './bill.ts';
import { billName } from './bill.ts';
import type { Report } from './events.ts';
import { checkFile } from './load.ts';

const notBilled = new Set([billName, 'checksums.txt']);

/** Checks every file of a package against its bill: missing, altered and extra files are told apart. Reads each byte once. */
export async function verifyPackage(packageDir: string, bill: Bill, report: Report): Promise<CortexError[]> {
  const problems: CortexError[] = [];
  const tell = (file: string, sizeBytes: number, error: CortexError) => {
    problems.push(error);
    report({ kind: 'file-failed', file, sizeBytes, code: error.code, message: error.message, hint: error.hint });
  };
  report({ kind: 'started', work: 'verify', dir: packageDir });
  for (const file of bill.files) {
    report({ kind: 'file-started', file: file.name, sizeBytes: file.sizeBytes });
    try {
      await checkFile(packageDir, file.name, bill, (bytes) => report({ kind: 'bytes', file: file.name, bytes }));
      report({ kind: 'file-done', file: file.name, sizeBytes: file.sizeBytes, note: 'new' });
    } catch (error) {
      if (!(error instanceof CortexError)) throw error;
      tell(file.name, file.sizeBytes, error);
    }
  }
  for (const name of await readdir(packageDir)) {
    if (notBilled.has(name) || bill.files.some((file) => file.name === name)) continue;
    tell(name, 0, new CortexError('package_file_extra', { file: name }));
  }
  const totalBytes = bill.files.reduce((total, file) => total + file.sizeBytes, 0);
  report({
    kind: 'finished',
    work: 'verify',
    succeeded: bill.files.length - problems.length,
    failed: problems.length,
    totalBytes,
  });
  return problems;
}
