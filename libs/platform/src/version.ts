import { readFileSync } from 'node:fs';

/** The product's version, from this package's own description: all packages of a release carry the same. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
