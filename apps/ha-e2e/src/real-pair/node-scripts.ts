import { existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root directory. */
export const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '../../../..');

/** The Node binary that runs the product. By its path in the repository: a host of the stage has another /tmp. */
export function nodeBinary(): string {
  const own = join(REPOSITORY, 'node_modules/.bin/node');
  return existsSync(own) ? own : process.execPath;
}

/** Path of a script beside the module at `moduleUrl`, source or compiled as that module is. */
export function siblingScript(moduleUrl: string, name: string): string {
  const path = fileURLToPath(moduleUrl);
  return join(dirname(path), name + extname(path));
}
