import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PacketFilter } from './firewall.adapter.ts';
import { NotInstalled, type Run } from './firewall-rule.ts';

const PORTS = [8082, 8083, 7422, 5432];
const [SERVER, PEER, STRANGER] = ['10.99.7.1', '10.99.7.2', '10.99.7.3'];
const [SERVER6, PEER6] = ['fd99:7::1', 'fd99:7::2'];
const ns = `understudy-firewall-${process.pid}`;
const outside = `${ns}-outside`;

const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'pipe', 'pipe'] });
const within = (where: string, ...words: string[]) =>
  execFileSync('ip', ['netns', 'exec', where, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const nft = (...words: string[]) => within(ns, 'nft', ...words);

/** Whether a command of a packet filter works on this machine. */
function works(...command: string[]): boolean {
  const made = process.getuid?.() === 0 && spawnSync('ip', ['netns', 'add', ns]).status === 0;
  if (!made) return false;
  const { status } = spawnSync('ip', ['netns', 'exec', ns, ...command]);
  spawnSync('ip', ['netns', 'delete', ns]);
  return status === 0;
}
const describeWithNft = works('nft', 'list', 'ruleset') ? describe : describe.skip;
// the kernel may have no tables for the older one
const usable = ['iptables', 'iptables-legacy'].filter((program) => works(program, '-P', 'INPUT', 'DROP'));

/** Programs of the packet filter of the server under test; `without`: those that it has not. */
function runner({ without = [] as string[], as = [] as string[] } = {}): Run {
  return (program, parameters) => {
    if (without.includes(program)) return Promise.reject(new NotInstalled(program));
    return new Promise((resolve, reject) => {
      execFile('ip', ['netns', 'exec', ns, ...as, program, ...parameters], (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if (stderr.startsWith('exec of')) reject(new NotInstalled(program));
        else reject(new Error(`${program}: ${stderr.trim().split('\n')[0]}`));
      });
    });
  };
}

/** Whether a connection opens from that address of the other side. */
function reaches(port: number, { from = PEER, to = SERVER } = {}): boolean {
  // it waits in two steps: after a standstill of the machine it hears of the connection between them
  const script = `const s = require('node:net').connect({ host: '${to}', port: ${port}, localAddress: '${from}' });
    s.on('connect', () => process.exit(0)); s.on('error', () => process.exit(1));
    setTimeout(() => setTimeout(() => process.exit(1), 100), 300);`;
  return spawnSync('ip', ['netns', 'exec', outside, process.execPath, '-e', script]).status === 0;
}

// Spec: "Check Readiness for HA Configuration" (firewall for database port accessibility).
describeWithNft('a firewall (needs root, nft and network namespaces)', () => {
  let listener: ReturnType<typeof spawn>;

  beforeEach(async () => {
    ip('netns', 'add', ns);
    ip('netns', 'add', outside);
    ip('-n', ns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
    for (const [where, ...addresses] of [
      [ns, `${SERVER}/24`, `${SERVER6}/64`],
      [outside, `${PEER}/24`, `${STRANGER}/24`, `${PEER6}/64`],
    ] as [string, ...string[]][]) {
      for (const address of addresses)
        ip('-n', where, 'address', 'add', address, 'dev', 'eth0', ...(address.includes('::') ? ['nodad'] : []));
      for (const device of ['lo', 'eth0']) ip('-n', where, 'link', 'set', device, 'up');
    }
    const script = `const net = require('node:net'); let left = 2;
      for (const port of [5432, 9999]) net.createServer().listen(port, '::', () => --left === 0 && console.log('ready'));`;
    listener = spawn('ip', ['netns', 'exec', ns, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => listener.stdout?.once('data', resolve));
  });
  afterEach(() => {
    listener.kill('SIGKILL');
    for (const where of [ns, outside]) ip('netns', 'delete', where);
  });

  const dropAll = () => {
    nft('add', 'table', 'inet', 'filter');
    nft('add', 'chain', 'inet', 'filter', 'input', '{ type filter hook input priority 0; policy drop; }');
    nft('add', 'rule', 'inet', 'filter', 'input', 'icmpv6', 'type', 'nd-neighbor-solicit', 'accept');
  };

  it('lets in that one address to that one port, once, and says what takes it back', async () => {
    dropAll();
    expect(reaches(5432)).toBe(false);
    const filter = new PacketFilter(PORTS, runner());
    const { added, problem } = await filter.open(PEER, [5432]);
    expect([problem, added]).toEqual([null, [{ rule: expect.anything(), undo: expect.anything() }]]);
    expect([reaches(5432), reaches(5432, { from: STRANGER }), reaches(9999)]).toEqual([true, false, false]);
    expect(await filter.open(PEER, [5432])).toEqual({ added: [], problem: expect.stringMatching(/there already/) });
    expect(nft('list', 'ruleset').match(/understudy/g)).toHaveLength(1);
    // runs of both servers at the same time
    const both = await Promise.all([filter.open(PEER, [8083]), filter.open(PEER, [8083])]);
    expect(both.map((outcome) => outcome.added.length)).toEqual([1, 0]);
    within(ns, ...(both[0]?.added[0]?.undo.split(' ') ?? []));
    within(ns, ...(added[0]?.undo.split(' ') ?? []));
    expect(reaches(5432)).toBe(false);
    expect(nft('list', 'ruleset')).not.toContain('understudy');
  });

  it('goes first in every chain that may drop, also in one that a rule leads to, and leaves the others alone', async () => {
    nft('add', 'table', 'ip', 'one');
    nft('add', 'chain', 'ip', 'one', 'open', '{ type filter hook input priority -5; policy accept; }');
    nft('add', 'chain', 'ip', 'one', 'deeper');
    nft('add', 'rule', 'ip', 'one', 'deeper', 'tcp', 'dport', '5432', 'reject');
    nft('add', 'chain', 'ip', 'one', 'first', '{ type filter hook input priority 0; policy accept; }');
    nft('add', 'rule', 'ip', 'one', 'first', 'jump', 'deeper');
    nft('add', 'chain', 'ip', 'one', 'second', '{ type filter hook input priority 5; policy accept; }');
    nft('add', 'rule', 'ip', 'one', 'second', 'tcp', 'dport', '5432', 'drop');
    expect(reaches(5432)).toBe(false);
    const { added } = await new PacketFilter(PORTS, runner()).open(PEER, [5432]);
    expect(added.map(({ undo }) => /one (\w+) handle \d+$/.exec(undo)?.[1])).toEqual(['first', 'second']);
    expect([reaches(5432), reaches(5432, { from: STRANGER })]).toEqual([true, false]);
  });

  it('lets in an IPv6 address', async () => {
    dropAll();
    const way = { from: PEER6, to: SERVER6 };
    expect(reaches(5432, way)).toBe(false);
    expect(await new PacketFilter(PORTS, runner()).open(PEER6, [5432])).toMatchObject({ problem: null });
    expect(reaches(5432, way)).toBe(true);
  });

  if (usable.length === 0)
    it.skip('uses iptables where nft is not installed (no iptables works here)', () => undefined);
  else
    it.each(usable)('uses iptables where nft is not installed: %s', async (program) => {
      within(ns, program, '-P', 'INPUT', 'DROP');
      const run = runner({ without: ['nft'] });
      const filter = new PacketFilter(PORTS, (name, words) => run(name === 'iptables' ? program : name, words));
      expect(reaches(5432)).toBe(false);
      const { added, problem } = await filter.open(PEER, [5432]);
      expect([problem, added.length]).toEqual([null, 1]);
      expect([reaches(5432), reaches(5432, { from: STRANGER })]).toEqual([true, false]);
      expect((await filter.open(PEER, [5432])).added).toEqual([]);
      within(ns, 'sh', '-c', String(added[0]?.undo.replace('iptables', program)));
      expect(reaches(5432)).toBe(false);
    });

  it('adds nothing where nothing drops, where it may not, to ports of others, and where there is no program', async () => {
    const open = (run: Run, ports = [5432]) => new PacketFilter(PORTS, run).open(PEER, ports);
    const isRefused = async (run: Run, words: RegExp, ports?: number[]) =>
      expect(await open(run, ports)).toEqual({ added: [], problem: expect.stringMatching(words) });
    await isRefused(runner(), /nothing on this server drops/);
    dropAll();
    await isRefused(runner(), /9999: not a port of this server/, [9999]);
    await isRefused(
      runner({ without: ['nft', 'iptables'] }),
      /neither nft nor iptables is installed here: let in TCP 5432/,
    );
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    await isRefused(
      runner({ as: nobody }),
      /^nft: Operation not permitted.*let in TCP 5432 from 10\.99\.7\.2 yourself/,
    );
    expect(nft('list', 'ruleset')).not.toContain('understudy');
  });
});
