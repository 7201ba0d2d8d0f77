/** What stands in place of a secret in a log line or a trace. */
export const REDACTED = '[secret]';

/**
 * Names of fields whose value never shows, by the part of the name that tells it. Kept as one list: what is missing here shows in every
 * log and every trace.
 */
const SECRET_NAMES =
  /pass(word|wd|phrase)|secret|token|credential|authorization|cookie|(private|authentication|auth|api|session)[-_]?key|verifier/i;
/** What only points to a secret: a file, or how long it lasts. */
const HARMLESS_NAMES = /(file|path|directory|seconds|ms)$/i;

/** Secrets within a text: each pattern keeps its first group and loses its second. */
const SECRET_TEXTS: readonly RegExp[] = [
  // postgres://user:password@host, nats://user:password@host
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)([^\s@]+)(?=@)/gi,
  // password=... of a connection string, --password ... of a command line, "password": "..." of JSON
  /((?:pass(?:word|wd|phrase)|secret|token)["']?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,;&}]+)/gi,
  /(\b(?:bearer|basic)\s+)([a-z0-9._~+/=-]{8,})/gi,
  // PASSWORD '...' of SQL
  /(\bpassword\s+)('(?:[^']|'')*')/gi,
  /(-----BEGIN [A-Z ]*PRIVATE KEY-----)([\s\S]*?)(?=-----END|$)/g,
];

/** Whether the value of a field of that name is a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name) && !HARMLESS_NAMES.test(name);
}

/** The text without the secrets in it. */
export function redactText(text: string): string {
  return SECRET_TEXTS.reduce((rest, pattern) => rest.replace(pattern, `$1${REDACTED}`), text);
}
