/** Shortest authentication key. */
export const AUTHENTICATION_KEY_LENGTH_MIN = 8;
const CLASSES_MIN = 3;
const REPEATS_MAX = 3;

/**
 * Why a text is too weak for an authentication key, as the rest of a sentence; null when it is not. The same at installation and at each
 * change. Spec: "Reset the HA Authentication Key".
 *
 * @param names of the servers: what everybody knows
 */
export function weaknessOf(key: string, names: readonly string[]): string | null {
  const { length } = [...key];
  if (length < AUTHENTICATION_KEY_LENGTH_MIN)
    return `has ${length} characters; it needs at least ${AUTHENTICATION_KEY_LENGTH_MIN}`;
  const classes = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /[^\p{L}\p{Nd}]/u].filter((kind) => kind.test(key)).length;
  if (classes < CLASSES_MIN)
    return `has ${classes} of these: small letters, capital letters, digits, other characters; it needs ${CLASSES_MIN}`;
  if (/(.)\1{3}/su.test(key)) return `has a character more than ${REPEATS_MAX} times in a row`;
  const name = names.find((each) => key.toLowerCase().includes(each.toLowerCase()));
  return name === undefined ? null : `contains the name ${name}`;
}
