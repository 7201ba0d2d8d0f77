import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { NodePaths } from './node-paths.ts';
import { Secret } from './secret.ts';

const BusCredentialsSchema = z.object({ url: z.string(), user: z.string(), password: z.string() });
const StoreCredentialsSchema = z.object({ host: z.string(), port: z.int(), password: z.string() });

/** How to reach this server's own bus. */
export interface BusCredentials {
  readonly url: string;
  readonly user: string;
  readonly password: Secret;
}

/** How to reach this server's own node store. */
export interface StoreCredentials {
  readonly host: string;
  readonly port: number;
  readonly password: Secret;
}

/** Reads `run/bus.json`, made by `node run`. Throws when it is missing or damaged. */
export function readBusCredentials(paths: NodePaths): BusCredentials {
  const { url, user, password } = BusCredentialsSchema.parse(JSON.parse(readFileSync(paths.busCredentials, 'utf8')));
  return { url, user, password: new Secret(password) };
}

/** Reads `run/store.json`, made by `node run`. Throws when it is missing or damaged. */
export function readStoreCredentials(paths: NodePaths): StoreCredentials {
  const { host, port, password } = StoreCredentialsSchema.parse(
    JSON.parse(readFileSync(paths.storeCredentials, 'utf8')),
  );
  return { host, port, password: new Secret(password) };
}
