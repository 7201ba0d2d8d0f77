import type { StatusView } from '@understudy/contracts';
import type { DemoPlan } from './demo-plan.ts';

/** What is printed when the pair stands: where it is, how to get in, and what to try. */
export function welcome(plan: DemoPlan, statuses: readonly (StatusView | null)[], seconds: number): string {
  const { ports, servers } = plan;
  const [alpha, beta] = servers;
  const lines = servers.map(({ name, role, address }, index) => {
    const state = statuses[index]?.state ?? 'unknown';
    return `  ${name.padEnd(6)} ${role.padEnd(10)} ${state.padEnd(18)} https://${address}:${ports.healthMonitor}`;
  });
  const isSwapped = statuses[1]?.currentRole === 'active';
  const command = (name: string) => `bin/understudy --config ${plan.directory}/${name}.yaml`;
  const sample = (address: string) => `http://${address}:${ports.sample}/`;
  const [active, other] = isSwapped ? [beta, alpha] : [alpha, beta];
  const takeOver = `${command('beta')} ha force-failover --yes     beta takes over, no row is lost`;
  const handBack = `${command('beta')} ha failback --yes           alpha has its role ${isSwapped ? 'again: begin with this' : 'again'}`;
  return `
The pair is on stage (${seconds.toFixed(1)} s).

${lines.join('\n')}

  sample application   ${sample(active.address)}   (after a takeover: ${sample(other.address)})
  REST                 https://${active.address}:${ports.healthMonitor}/api/docs
  authentication key   ${plan.authenticationKey}   (to sign in; also in ${plan.keyFile})

Try in another terminal, from this checkout:

  ${command('beta')} ha status
  curl -s ${sample(active.address)}rows
  ${isSwapped ? handBack : takeOver}
  curl -s ${sample(other.address)}rows                 the other server answers now; "total" counts every row
  ${isSwapped ? takeOver : handBack}
  ${command('beta')} ha events --follow          what happens, as it happens

Then let the primary die, when it is active:

  type  kill alpha   here      every process of alpha at once, like a power cut; beta takes over by itself in about 10 s
  type  start alpha  here      alpha comes back and follows beta; give it its role with failback, once it is in sync

  Without this terminal: ${command('alpha')} node stop, and node run --layout composed.

Ctrl-C stops everything and keeps the data; "npm start -- --reset" begins anew. Logs: ${plan.directory}/*.log
`;
}

/** What can be typed while the demonstration runs. */
export const CONSOLE_HELP = 'Type: status, kill alpha|beta, start alpha|beta, help. Ctrl-C stops everything.';
