import picomatch from 'picomatch';
import { type RelativePath, STAGING } from './entry.ts';

/** Which entries a file set has. */
export interface Selection {
  /** Whether the entry itself is meant. */
  takes(path: RelativePath): boolean;
  /** Whether nothing at or below this path can be meant: it need not be looked into. */
  prunes(path: RelativePath): boolean;
}

type Matches = (text: string) => boolean;

/**
 * The selection of a file set's patterns: `*` within a name, `**` across directories; a pattern without "/" means the name at any
 * depth. What `exclude` names is left out, a directory with all below it.
 */
export function selectionOf(include: readonly string[], exclude: readonly string[]): Selection {
  const included = matcherOf(include);
  const excluded = matcherOf(exclude);
  const takesAll = include.includes('**') && exclude.length === 0;
  const isStaging = (path: RelativePath) => path === STAGING || path.startsWith(`${STAGING}/`);
  const isExcluded = (path: RelativePath): boolean => {
    const text = shown(path);
    for (let end = text.indexOf('/'); end >= 0; end = text.indexOf('/', end + 1))
      if (excluded(text.slice(0, end))) return true;
    return excluded(text);
  };
  return {
    takes: (path) => !isStaging(path) && (takesAll || (included(shown(path)) && !isExcluded(path))),
    prunes: (path) => isStaging(path) || (exclude.length > 0 && excluded(shown(path))),
  };
}

function matcherOf(patterns: readonly string[]): Matches {
  const matchers = patterns.map((pattern) =>
    // a name may have line breaks in it
    picomatch(pattern, { dot: true, nonegate: true, basename: !pattern.includes('/'), flags: 's' }),
  );
  return (text) => matchers.some((matches) => matches(text));
}

/** Patterns are text: the name as UTF-8, what is none as replacement characters. */
function shown(path: RelativePath): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
