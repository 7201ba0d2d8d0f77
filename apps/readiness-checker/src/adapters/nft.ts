import { z } from 'zod';
import { commentOf, type Rule, type Run, type Wanted } from './firewall-rule.ts';

const ChainSchema = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  type: z.string().optional(),
  hook: z.string().optional(),
  policy: z.string().optional(),
});
const RuleSchema = z.object({
  family: z.string(),
  table: z.string(),
  chain: z.string(),
  comment: z.string().optional(),
  expr: z.array(z.record(z.string(), z.unknown())).default([]),
});
const RulesetSchema = z.object({
  nftables: z.array(z.object({ chain: ChainSchema.optional(), rule: RuleSchema.optional() })),
});
type Chain = z.infer<typeof ChainSchema>;

/** What a rule may end a packet by, or pass it on to where that may be. */
const MAY_DROP = ['drop', 'reject', 'jump', 'goto', 'queue', 'vmap', 'xt'];

/** The rules needed in each chain of nftables that may drop what comes in. Rejects where its rules cannot be read. */
export async function rulesOfNft(wanted: readonly Wanted[], run: Run): Promise<Rule[]> {
  const { nftables } = RulesetSchema.parse(JSON.parse(await run('nft', ['-j', 'list', 'ruleset'])));
  const rules = nftables.flatMap(({ rule }) => (rule ? [rule] : []));
  const rulesIn = ({ family, table, name }: Chain) =>
    rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name);
  const filters = nftables
    .flatMap(({ chain }) => (chain?.hook === 'input' && chain.type === 'filter' ? [chain] : []))
    .filter(
      (chain) =>
        chain.policy === 'drop' ||
        rulesIn(chain).some(({ expr }) => expr.some((part) => MAY_DROP.some((word) => word in part))),
    );
  return filters.flatMap((chain) =>
    wanted
      .filter(({ family }) => chain.family === 'inet' || chain.family === (family === 6 ? 'ip6' : 'ip'))
      .map((entry) => ({
        isPresent: rulesIn(chain).some(({ comment }) => comment === commentOf(entry)),
        add: () => insert(chain, entry, run),
      })),
  );
}

async function insert({ family, table, name }: Chain, wanted: Wanted, run: Run) {
  const rule = ['insert', 'rule', family, table, name, wanted.family === 6 ? 'ip6' : 'ip', 'saddr', wanted.address];
  rule.push('tcp', 'dport', String(wanted.port), 'accept', 'comment', `"${commentOf(wanted)}"`);
  const echo = await run('nft', ['-j', '-e', '-a', ...rule]);
  const handle = /"handle": ?(\d+)/.exec(echo)?.[1];
  const where = `${family} ${table} ${name}`;
  return {
    rule: `nft ${rule.join(' ')}`,
    undo: `nft delete rule ${where} handle ${handle ?? `HANDLE, as "nft -a list chain ${where}" shows it`}`,
  };
}
