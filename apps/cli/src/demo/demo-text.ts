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
  const command = (name: string) => `bin/understudy --config ${plan.directory}/${name}.yaml`;
  const sample = (address: string) => `http://${address}:${ports.sample}/`;
  return `
The pair is on stage (${seconds.toFixed(1)} s).

${lines.join('\n')}

  sample application   ${sample(alpha.address)}   (after a takeover: ${sample(beta.address)})
  REST                 https://${alpha.address}:${ports.healthMonitor}/api/docs
  authentication key   ${plan.authenticationKey}   (to sign in; also in ${plan.keyFile})

Try in another terminal, from this checkout:

  ${command('beta')} ha status
  curl -s ${sample(alpha.address)}rows
  ${command('beta')} ha force-failover --yes     beta takes over, no row is lost
  curl -s ${sample(beta.address)}rows
  ${command('beta')} ha failback --yes           alpha has its role again
  ${command('beta')} ha events --follow          what happens, as it happens

Then let the primary die:

  type  kill alpha   here      every process of alpha at once, like a power cut; beta takes over by itself in about 10 s
  type  start alpha  here      alpha comes back and follows beta; give it its role with failback

  Without this terminal: ${command('alpha')} node stop, and node run --layout composed.

Ctrl-C stops everything and keeps the data; "npm start -- --reset" begins anew. Logs: ${plan.directory}/*.log
`;
}

/** What can be typed while the demonstration runs. */
export const CONSOLE_HELP = 'Type: status, kill alpha|beta, start alpha|beta, help. Ctrl-C stops everything.';
