import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { userInfo } from 'node:os';
import type { FirewallOutcome } from '@understudy/contracts';
import { searchPath } from '@understudy/platform';
import type { Firewall } from '../ports/firewall.port.ts';
import { NotInstalled, type Rule, type Run, type Wanted } from './firewall-rule.ts';
import { rulesOfIptables } from './iptables.ts';
import { rulesOfNft } from './nft.ts';

const COMMAND_MS = 2000;

/**
 * Adds rules to what filters here: nftables, or iptables where that is not installed or knows rules that nftables does not show. A rule is put
 * first in each chain that may drop, lets one address in to one port, bears our name, and is added once.
 */
export class PacketFilter implements Firewall {
  private turn: Promise<unknown> = Promise.resolve();

  /** `ownPorts`: what may be opened at all. */
  constructor(
    private readonly ownPorts: readonly number[],
    private readonly run: Run = runProgram,
  ) {}

  /** Runs that both servers have begun open one after another: the second one finds the rules of the first. */
  open(from: string, ports: readonly number[]): Promise<FirewallOutcome> {
    const opened = this.turn.then(() => this.openNow(from, ports));
    this.turn = opened.catch(() => undefined);
    return opened;
  }

  private async openNow(from: string, ports: readonly number[]): Promise<FirewallOutcome> {
    const added: FirewallOutcome['added'] = [];
    const foreign = ports.filter((port) => !this.ownPorts.includes(port));
    if (foreign.length > 0) return { added, problem: `${foreign.join(', ')}: not a port of this server` };
    const byHand = `let in TCP ${ports.join(', ')} from ${from} yourself`;
    try {
      const addresses = await lookup(from, { all: true });
      const wanted = addresses.flatMap(({ address, family }) =>
        ports.map((port) => ({ address, family: family === 6 ? (6 as const) : (4 as const), port })),
      );
      const rules = await this.rules(wanted);
      if (rules === null) return { added, problem: `neither nft nor iptables is installed here: ${byHand}` };
      if (rules.length === 0)
        return { added, problem: 'nothing on this server drops what comes in: look at the way between the servers' };
      for (const rule of rules) if (!rule.isPresent) added.push(await rule.add());
      return {
        added,
        problem: added.length > 0 ? null : 'the rules are there already: look at the way between the servers',
      };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { added, problem: `${reason} (as ${userInfo().username}): ${byHand}, or start this server as root` };
    }
  }

  /** The rules that are needed; null: there is no program to add them with. */
  private async rules(wanted: readonly Wanted[]): Promise<Rule[] | null> {
    let isKnown = false;
    for (const rulesOf of [rulesOfNft, rulesOfIptables]) {
      try {
        const rules = await rulesOf(wanted, this.run);
        isKnown = true;
        if (rules.length > 0) return rules;
      } catch (error) {
        if (!(error instanceof NotInstalled)) throw error;
      }
    }
    return isKnown ? [] : null;
  }
}

function runProgram(program: string, parameters: readonly string[]): Promise<string> {
  const env = { PATH: searchPath(), LC_ALL: 'C' };
  const options = { env, timeout: COMMAND_MS, maxBuffer: 16 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    execFile(program, parameters, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === 'ENOENT') reject(new NotInstalled(`${program} is not installed`));
      else reject(new Error(`${program}: ${stderr.trim().split('\n')[0] || error.message}`));
    });
  });
}
