import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type RelativePath, STAGING } from '../domain/entry.ts';

/** With more directories to pass over than this, nothing is gained. */
const PRUNED_MAX = 500;
/**
 * Of every entry: inode, the time of its last change, which any change of owner, mode, size or content moves, and its name. Where it lies need
 * not be said: whatever is moved changes the time of a directory too.
 */
const FORMAT = '%i %C@ %f\\0';

/**
 * A digest of all that tells whether an entry of a directory has changed, made by the system's `find`, which looks at a file in a quarter of
 * the time that we need: equal digests are equal trees. Null when it cannot look at everything.
 *
 * @param root the opened root, for another program
 * @param pruned directories of no interest
 */
export async function listingDigest(root: string, pruned: readonly RelativePath[]): Promise<string | null> {
  if (pruned.length > PRUNED_MAX) return null;
  const left = [STAGING, ...pruned].flatMap((path) => ['-path', `./${literal(path)}`, '-prune', '-o']);
  const words = ['.', '-xdev', '-mindepth', '1', ...left, '-printf', FORMAT];
  try {
    const child = spawn('find', words, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { LC_ALL: 'C', PATH: process.env.PATH },
    });
    const ended = once(child, 'close');
    const hash = createHash('sha256');
    // there is none when this process has no file descriptor left; the error comes behind
    child.stdout?.on('data', (bytes: Buffer) => hash.update(bytes));
    const [code] = await ended;
    return code === 0 ? hash.digest('base64url') : null;
  } catch {
    // the root has gone, or there is no such program on this machine, or the system starts none now
    return null;
  }
}

/** A path as a pattern that means only it. */
function literal(path: RelativePath): string {
  return path.replaceAll(/[\\*?[\]]/g, '\\$&');
}
