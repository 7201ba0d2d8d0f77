import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isNested, type NodeConfiguration } from '@understudy/platform';

/**
 * File sets that by way of a link are, lie in or hold a directory of this server's own, a line for each, with its key: identity and database
 * must not be copied over those of the peer.
 */
export function ownFilesInFileSets({ node, database, fileSets }: NodeConfiguration): string[] {
  const own = [
    ['node.dataDirectory', realPath(node.dataDirectory)],
    ['database.dataDirectory', realPath(database.dataDirectory)],
  ] as const;
  return fileSets.flatMap(({ path }, index) => {
    const real = realPath(path);
    const clash = own.find(([, directory]) => isNested(real, directory));
    if (clash === undefined) return [];
    const [key, directory] = clash;
    return [
      `fileSets.${index}.path: ${path} is ${real}, and lies in, or holds, ${key} ${directory}; set it to a directory that has nothing in common with that`,
    ];
  });
}

/** The path without links, as far as it is there. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(realPath(dirname(path)), basename(path));
  }
}
