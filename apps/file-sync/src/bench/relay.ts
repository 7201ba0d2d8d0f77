import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { ADDRESS } from './measured-side.ts';

/** Passes connections on to a port of this machine and counts what goes through, both ways. */
export class CountingRelay {
  bytes = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async open(to: number): Promise<CountingRelay> {
    const server = createServer();
    server.listen(0, ADDRESS);
    await once(server, 'listening');
    const relay = new CountingRelay(server, (server.address() as AddressInfo).port);
    server.on('connection', (socket) => relay.pass(socket, createConnection(to, ADDRESS)));
    return relay;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private pass(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (bytes: Buffer) => {
        this.bytes += bytes.length;
      });
      from.on('error', () => to.destroy());
      from.on('close', () => this.sockets.delete(from));
      from.pipe(to);
    }
  }
}
