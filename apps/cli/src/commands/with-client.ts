import { connect, type GlobalOptions } from '../client/connect.ts';
import type { RestClient } from '../client/rest-client.ts';

/** Runs `use` with a connection; a session that was begun for it ends with it. */
export async function withClient<T>(options: GlobalOptions, use: (client: RestClient) => Promise<T>): Promise<T> {
  const client = await connect(options);
  try {
    return await use(client);
  } finally {
    if (options.url !== undefined) await client.signOut();
  }
}
