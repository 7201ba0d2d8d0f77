import type { NodeConfiguration } from './configuration.schema.ts';

const SECRET_NAME = /pass|secret|token|credential|api[-_]?key|private/i;
/** `scheme://user:password@host` in any value. */
const PASSWORD_IN_URL = /(\w+:\/\/[^\s:/@]*):[^\s@/]+@/g;

/** The effective values for people: the file's keys, with whatever may be a secret masked. */
export function effectiveConfigurationForShow(configuration: NodeConfiguration): Record<string, unknown> {
  return mask(configuration, '') as Record<string, unknown>;
}

function mask(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((entry) => mask(entry, ''));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, mask(entry, key)]));
  }
  if (typeof value !== 'string') return value;
  // The name of a file that holds a secret is none.
  if (SECRET_NAME.test(name) && !name.endsWith('File')) return '[secret]';
  return value.replace(PASSWORD_IN_URL, '$1:[secret]@');
}
