import { z } from 'zod';

/** Text that YAML may have without quotes: a number, true or false is taken as written; null, lists and sections are mistakes. */
export const scalarText = (text: z.ZodString = z.string()) =>
  z.preprocess((value) => (typeof value === 'number' || typeof value === 'boolean' ? String(value) : value), text);
