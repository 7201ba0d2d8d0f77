import { z } from 'zod';
import { isAverage } from './chunks.ts';
import { EntrySchema, HashSchema, isSafePath } from './entry.ts';

/**
 * First line of a manifest. `generation`: what to ask from next time; `isPartial`: only what has changed since; `isUnfinished`: the active
 * server is still looking, and what it finds from now on is asked for next.
 */
export const ManifestHeadSchema = z.strictObject({
  generation: z.string().regex(/^[A-Za-z0-9-]{1,64}\.\d{1,15}$/),
  epoch: z.int().nonnegative(),
  isPartial: z.boolean(),
  isUnfinished: z.boolean().optional(),
});
export type ManifestHead = z.infer<typeof ManifestHeadSchema>;

const SafePath = z.string().refine(isSafePath, 'does not stay below the root');

/** A further line: an entry, a path that has gone, or the end with the number of lines before it. */
export const ManifestLineSchema = z.union([
  EntrySchema,
  z.strictObject({ removed: SafePath }),
  z.strictObject({ end: z.int().nonnegative() }),
]);

/** A file that the standby wants: the version with this content, from `offset` bytes on, all of it or `length` bytes. */
export const WantSchema = z.strictObject({
  path: SafePath,
  hash: HashSchema,
  offset: z.int().nonnegative(),
  length: z.int().positive().optional(),
});
export type Want = z.infer<typeof WantSchema>;

/** Body of a request for the chunks of a file's version, cut with this average length. */
export const ChunksWantSchema = z.strictObject({
  path: SafePath,
  hash: HashSchema,
  average: z.int().refine(isAverage, 'is no average length'),
});

/** Most files asked for at once. */
export const WANTS_MAX = 512;
/** Most bytes of one line of a manifest. */
export const LINE_BYTES_MAX = 64 * 1024;
/** Most entries of a set. */
export const ENTRIES_MAX = 5_000_000;

/** Body of a request for content. */
export const WantsSchema = z.strictObject({ wants: z.array(WantSchema).min(1).max(WANTS_MAX) });

/** Body of the standby's word that it has everything up to a generation. */
export const AppliedSchema = z.strictObject({ generation: ManifestHeadSchema.shape.generation });

/** Answer of a server that does not give files. */
export const RefusalSchema = z.object({ code: z.string().max(100), message: z.string().max(1000) });
export type Refusal = z.infer<typeof RefusalSchema>;

/** Headers of every request: the pair it is meant for, and the highest epoch that the standby knows of. */
export const PAIR_HEADER = 'understudy-pair';
export const EPOCH_HEADER = 'understudy-epoch';
/** `accept-encoding` of a standby that takes packed frames. */
export const PACKED = 'understudy-packed';
