// Adds up what every tier reported (tests/artifacts/results/*.json, written by vitest) and closes with one line for the gate.
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('./artifacts/results/', import.meta.url);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
  const result = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
  passed += result.numPassedTests;
  failed += result.numFailedTests;
  skipped += result.numPendingTests + result.numTodoTests;
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
