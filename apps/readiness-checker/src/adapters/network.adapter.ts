import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { ServiceEnvironment } from '@understudy/platform';
import type { Probe } from '../ports/probe.port.ts';

/** The network interface that carries the pair's traffic: that of `node.address`. No data are sent. */
export function networkProbes({ configuration }: ServiceEnvironment): Probe[] {
  return [
    {
      title: 'network interface',
      fields: ['networkInterface'],
      limitMs: 5000,
      measure: async () => {
        const name = await interfaceOf(configuration.node.address);
        const [mtu, speed] = await Promise.all(
          ['mtu', 'speed'].map((file) => numberIn(`/sys/class/net/${name}/${file}`)),
        );
        // a virtual interface has no speed: the kernel refuses to tell, or says -1
        const megabitsPerSecond = speed !== undefined && speed !== null && speed > 0 ? speed : null;
        return { networkInterface: { value: { name, mtu: mtu ?? 0, megabitsPerSecond } } };
      },
    },
  ];
}

async function interfaceOf(host: string): Promise<string> {
  const { address } = await lookup(host);
  for (const [name, addresses] of Object.entries(networkInterfaces()))
    if (addresses?.some((entry) => entry.address === address)) return name;
  // every address of 127.0.0.0/8 is one of lo, though only the first is listed
  if (address.startsWith('127.')) return 'lo';
  throw new Error(`no network interface has the address ${address}`);
}

function numberIn(file: string): Promise<number | null> {
  return readFile(file, 'utf8').then(Number, () => null);
}
