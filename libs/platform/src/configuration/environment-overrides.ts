import { parse } from 'yaml';

/** A value of the configuration that comes from an environment variable. */
export interface Override {
  readonly variable: string;
  readonly path: readonly (string | number)[];
  /** The text of the variable; used as it is where the key wants a text. */
  readonly text: string;
  /** The text read as YAML. */
  readonly value: unknown;
}

const PREFIX = 'UNDERSTUDY_';
/** Below these, names are not ours: they are PostgreSQL's settings, in lower case with underscores. */
const FOREIGN_NAMES_BELOW = 'database.parameters';

/**
 * The overrides among environment variables: `UNDERSTUDY_HEARTBEAT__INTERVAL_SECONDS=1` sets heartbeat.intervalSeconds. `__` goes
 * one level down, a number is a place in a list. Variables with neither `__` nor the name of a section are not overrides.
 */
export function overridesOf(environment: NodeJS.ProcessEnv, sections: readonly string[]): Override[] {
  const overrides: Override[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const text = environment[variable];
    if (text === undefined || !variable.startsWith(PREFIX)) continue;
    const path: (string | number)[] = [];
    for (const part of variable.slice(PREFIX.length).split('__')) {
      if (/^\d+$/.test(part)) path.push(Number(part));
      else if (path.join('.') === FOREIGN_NAMES_BELOW) path.push(part.toLowerCase());
      else path.push(camelCase(part));
    }
    if (path.length === 1 && !sections.includes(String(path[0]))) continue;
    overrides.push({ variable, path, text, value: readValue(text) });
  }
  return overrides;
}

/** Puts a value at a path, making the objects on the way. False when something on the way is no object or list. */
export function setAt(root: Record<string, unknown>, path: readonly (string | number)[], value: unknown): boolean {
  let at: Record<string, unknown> = root;
  for (const [index, key] of path.entries()) {
    if (index === path.length - 1) {
      at[key] = value;
      return true;
    }
    at[key] ??= typeof path[index + 1] === 'number' ? [] : {};
    const next = at[key];
    if (typeof next !== 'object' || next === null) return false;
    at = next as Record<string, unknown>;
  }
  return false;
}

function camelCase(upperSnake: string): string {
  return upperSnake.toLowerCase().replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function readValue(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return text;
  }
}
