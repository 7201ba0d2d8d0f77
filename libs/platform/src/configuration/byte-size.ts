import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Bytes of a size such as `8GiB`, `500 MB` or `16777216`; null when it is not one. */
export function parseByteSize(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text);
  const factor = match ? UNITS[match[2] ?? ''] : undefined;
  if (!match || factor === undefined) return null;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** A number of bytes, or text with a unit; the result is a number of bytes. */
export const ByteSizeSchema = z.union([z.number(), z.string()]).transform((value, context) => {
  const bytes = typeof value === 'number' ? value : parseByteSize(value);
  if (bytes !== null && Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  context.addIssue({
    code: 'custom',
    message: `${JSON.stringify(value)} is not a size: use bytes or a number with KiB, MiB, GiB, kB, MB, GB`,
  });
  return z.NEVER;
});
