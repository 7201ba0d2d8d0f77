import { accessSync, constants, readdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Where Debian and Ubuntu keep PostgreSQL, one directory per major version. */
const DEBIAN_ROOT = '/usr/lib/postgresql';

/** The directory with PostgreSQL's programs: the newest of the distribution's, else the one on the PATH; null when there is none. */
export function findPostgresqlBinDirectory(searchPath: string, root: string = DEBIAN_ROOT): string | null {
  for (const version of versionsIn(root)) {
    const directory = join(root, String(version), 'bin');
    if (isExecutable(join(directory, 'postgres'))) return directory;
  }
  for (const directory of searchPath.split(delimiter)) {
    const program = join(directory, 'postgres');
    if (directory !== '' && isExecutable(program)) return dirname(realpathSync(program));
  }
  return null;
}

/** Full path of a program on the search path, null when it is not there. */
export function findProgram(name: string, searchPath: string): string | null {
  for (const directory of [...searchPath.split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']) {
    const program = join(directory, name);
    if (directory !== '' && isExecutable(program)) return program;
  }
  return null;
}

function versionsIn(root: string): number[] {
  try {
    return readdirSync(root)
      .map(Number)
      .filter((version) => version >= 13)
      .sort((a, b) => b - a);
  } catch {
    return [];
  }
}

/** Whether there is a file that this process may run. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    // a directory may be entered by that
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
