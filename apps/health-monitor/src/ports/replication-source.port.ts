import type { EffectContext } from '@understudy/ha-runtime';

/** What a registration needs of the database, and what undoes it. */
export interface ReplicationSource {
  prepareSource(context: EffectContext): Promise<void>;
  retireSource(context: EffectContext): Promise<void>;
  discardCopy(context: EffectContext): Promise<void>;
}
