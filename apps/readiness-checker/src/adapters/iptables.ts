import { commentOf, type Rule, type Run, type Wanted } from './firewall-rule.ts';

const HARMLESS = ['ACCEPT', 'LOG', 'NFLOG', 'RETURN'];

/** The rules needed in INPUT of iptables and ip6tables, where that may drop what comes in. Rejects where it cannot be read. */
export async function rulesOfIptables(wanted: readonly Wanted[], run: Run): Promise<Rule[]> {
  const rules: Rule[] = [];
  for (const [family, program] of [
    [4, 'iptables'],
    [6, 'ip6tables'],
  ] as const) {
    const ours = wanted.filter((entry) => entry.family === family);
    if (ours.length === 0 || !mayDrop(await run(program, ['-w', '1', '-S', 'INPUT']))) continue;
    for (const entry of ours) {
      const match = ['-s', entry.address, '-p', 'tcp', '--dport', String(entry.port), '-m', 'comment'];
      match.push('--comment', commentOf(entry), '-j', 'ACCEPT');
      const shown = match.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ');
      rules.push({
        isPresent: await run(program, ['-w', '1', '-C', 'INPUT', ...match]).then(
          () => true,
          () => false,
        ),
        add: async () => {
          await run(program, ['-w', '1', '-I', 'INPUT', '1', ...match]);
          return { rule: `${program} -I INPUT 1 ${shown}`, undo: `${program} -D INPUT ${shown}` };
        },
      });
    }
  }
  return rules;
}

function mayDrop(listed: string): boolean {
  return listed.split('\n').some((line) => {
    if (line.startsWith('-P ')) return !line.endsWith(' ACCEPT');
    const target = /(?:-j|-g) (\S+)/.exec(line)?.[1];
    return target !== undefined && !HARMLESS.includes(target);
  });
}
