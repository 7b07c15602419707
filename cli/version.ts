import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRoot } from './context.ts';

/** Of this checkout, or of the image. */
export const cortexVersion = (): string =>
  String(Object(JSON.parse(readFileSync(join(findRoot(), 'package.json'), 'utf8'))).version);
