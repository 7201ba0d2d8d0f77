import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type HaConfigurationView,
  type NotedVirtualIp,
  type PeerIdentity,
  type RegistrationHello,
} from '@understudy/contracts';
import type { FailoverType, ServerRecord } from '@understudy/ha-core';
import { type EffectContext, EffectError, type RegistrationPort } from '@understudy/ha-runtime';
import {
  type Logger,
  type NodePaths,
  type PeerIdentityFile,
  type ServiceEnvironment,
  writeFileAtomically,
} from '@understudy/platform';
import { z } from 'zod';
import { Turns } from '../domain/turns.ts';
import type { ReplicationSource } from '../ports/replication-source.port.ts';
import type { AuthenticationKeyStore, OwnHello, RegistrationClient, StretchedKey } from '../registration/index.ts';
import { NO_VIRTUAL_ADDRESSES, type VirtualAddresses } from '../virtual-ip/index.ts';

const NOT_READY_LIMIT_MS = 10_000;
const NOT_READY_PAUSE_MS = 500;

const SettingsSchema = z.object({
  emailAddresses: z.array(z.string()),
  secondaryAddress: z.string().nullable(),
  virtualIp: z.object({ ipv4: z.string().nullable(), ipv6: z.string().nullable() }).default(NO_VIRTUAL_ADDRESSES),
  /** How often the virtual IP was changed in place since the registration. */
  virtualIpChange: z.int().nonnegative().default(0),
});
type PairSettings = z.infer<typeof SettingsSchema>;
const NO_SETTINGS: PairSettings = SettingsSchema.parse({ emailAddresses: [], secondaryAddress: null });

/** What an operator gave for a registration; the key is never kept on disk. */
export interface RegistrationOrder {
  readonly pairId: string;
  readonly secondaryAddress: string;
  readonly authenticationKey: string;
  readonly failoverType: FailoverType;
  readonly emailAddresses: readonly string[];
  readonly virtualIp: VirtualAddresses;
  /** This server takes the place of the lost primary of an active secondary. */
  readonly replacesPrimary: boolean;
}

/** The pinned peer of this server: how it came about, and how it is forgotten. */
export class Pairing implements RegistrationPort {
  private readonly orders = new Map<string, RegistrationOrder>();
  private session: { pairId: string; key: StretchedKey } | null = null;
  private settings: PairSettings = NO_SETTINGS;
  private pinned: PeerIdentity | null = null;
  /** Of changes of the pinned peer and its settings: a peer that is removed does not come back with a certificate that it was renewing. */
  private readonly turns = new Turns();
  /** Called when the pinned peer has changed. */
  onChange: () => void = () => undefined;

  constructor(
    private readonly env: ServiceEnvironment,
    private self: { certificatePem: string; databaseVersion: string },
    private readonly file: PeerIdentityFile<PeerIdentity>,
    private readonly keys: AuthenticationKeyStore,
    private readonly client: RegistrationClient,
    private readonly database: ReplicationSource,
  ) {}

  /** Reads what earlier runs pinned. Throws when the file is damaged: that is not "not paired". */
  async load(): Promise<void> {
    this.pinned = await this.file.read();
    this.settings = await readSettings(settingsFile(this.env.paths), this.env.logger);
  }

  /** The pinned peer, null when this server is not paired. */
  get peer(): PeerIdentity | null {
    return this.pinned;
  }

  /** The addresses by which the active server of the pair is reached. */
  get virtualIp(): VirtualAddresses {
    return this.pinned === null ? NO_VIRTUAL_ADDRESSES : this.settings.virtualIp;
  }

  /** This server has renewed its certificate. */
  set ownCertificate(certificatePem: string) {
    this.self = { ...this.self, certificatePem };
  }

  /** The same, with the number of the change that has brought it. */
  get notedVirtualIp(): NotedVirtualIp {
    return { ...this.virtualIp, change: this.settings.virtualIpChange };
  }

  /** Another virtual IP for the pair from now on. */
  noteVirtualIp({ ipv4, ipv6, change }: NotedVirtualIp): Promise<void> {
    return this.turns.take(() =>
      this.saveSettings({ ...this.settings, virtualIp: { ipv4, ipv6 }, virtualIpChange: change }),
    );
  }

  /** What this server says of itself in a registration. */
  get ownFacts() {
    const { node, ports } = this.env.configuration;
    const { healthMonitor, fileSync, pairLink, database } = ports;
    return {
      version: this.env.version,
      name: node.name,
      role: node.role,
      address: node.address,
      ports: { healthMonitor, fileSync, pairLink, database },
      ...this.self,
    };
  }

  /** The registration has come about: there is nothing to abandon any more. */
  committed(): void {
    this.session = null;
  }

  /** Keeps an order until the state machine has its effects performed. */
  remember(operationId: string, order: RegistrationOrder): void {
    this.orders.set(operationId, order);
  }

  /** The state machine has refused the order. */
  forget(operationId: string): void {
    this.orders.delete(operationId);
  }

  /** Primary: proves the key, pins the secondary, opens replication for it unless this server is to follow it. */
  async register(context: EffectContext, operationId: string): Promise<void> {
    const order = this.orders.get(operationId);
    this.orders.delete(operationId);
    if (order === undefined)
      throw new EffectError(
        'interrupted',
        'the registration was interrupted by a restart of the manager: register again',
      );
    context.progress('proving the authentication key', null);
    const target = targetOf(order.secondaryAddress, this.env.configuration.ports.healthMonitor);
    const hello: OwnHello = {
      ...this.ownFacts,
      pairId: order.pairId,
      failoverType: order.failoverType,
      emailAddresses: [...order.emailAddresses],
      ...(order.replacesPrimary ? { replacePrimary: true } : {}),
      virtualIp: order.virtualIp,
    };
    const result = await this.untilReady(context, () =>
      this.client.register({ ...target, authenticationKey: order.authenticationKey, hello }),
    );
    if (!result.ok) throw new EffectError(result.refusal.code, result.refusal.message);
    this.session = { pairId: order.pairId, key: result.value.key };
    // the secondary is reached where the operator said, whatever it calls itself
    const peer = { ...result.value.peer, address: target.address };
    await this.keys.store(result.value.key);
    const { secondaryAddress, virtualIp } = order;
    await this.pin(peer, {
      ...NO_SETTINGS,
      emailAddresses: [...order.emailAddresses],
      secondaryAddress,
      virtualIp,
    });
    if (hello.certificatePem !== this.self.certificatePem)
      throw new EffectError(
        'interrupted',
        'the certificate of this server was renewed while it was registered: register again',
      );
    if (order.replacesPrimary) return;
    context.progress('opening replication for the secondary', null);
    await this.database.prepareSource(context);
  }

  /** A secondary that is not ready at this moment (it has just been removed from a pair, say) is asked again for a short time. */
  private async untilReady(context: EffectContext, register: () => ReturnType<RegistrationClient['register']>) {
    const { clock } = this.env;
    for (const endMs = clock.nowMs() + NOT_READY_LIMIT_MS; ; ) {
      const result = await register();
      if (result.ok || result.refusal.code !== 'not-ready' || context.signal.aborted || clock.nowMs() > endMs)
        return result;
      context.progress('waiting for the secondary', null);
      await delay(NOT_READY_PAUSE_MS, undefined, { signal: context.signal }).catch(() => undefined);
    }
  }

  /** Secondary: the primary has proven the key. */
  async accept(peer: PeerIdentity, hello: RegistrationHello): Promise<void> {
    await this.pin(peer, {
      ...NO_SETTINGS,
      emailAddresses: hello.emailAddresses,
      secondaryAddress: this.env.configuration.node.address,
      virtualIp: hello.virtualIp ?? NO_VIRTUAL_ADDRESSES,
    });
  }

  /** Secondary: another primary has proven the key. Afterwards the peer from before can be pinned again by the returned function. */
  async acceptInPlace(peer: PeerIdentity, hello: RegistrationHello): Promise<() => Promise<void>> {
    const { pinned, settings } = this;
    await this.accept(peer, hello);
    return async () => {
      if (pinned !== null) await this.pin(pinned, settings);
    };
  }

  /** Either: forgets a pairing that did not come about. What cannot be undone now does not keep the peer pinned. */
  async retire(context: EffectContext, discardCopy: boolean): Promise<void> {
    const { peer, session } = { peer: this.pinned, session: this.session };
    this.session = null;
    if (peer !== null && session !== null && this.env.configuration.node.role === 'primary') {
      context.progress('telling the secondary', null);
      const told = await this.client.abandon({
        address: peer.address,
        port: peer.ports.healthMonitor,
        fingerprint: peer.fingerprint,
        pairId: session.pairId,
        verifier: session.key.verifier,
      });
      if (!told) this.env.logger.warn('The secondary could not be told that the registration was given up');
    }
    if (peer === null) return;
    context.progress('taking back what was prepared', null);
    await this.undoDatabase(context, discardCopy);
    await this.unpin();
  }

  /** Pins the same peer with other certificates, durably. `change` gets the one that is pinned then; false: there is none, or it gave null. */
  repin(change: (peer: PeerIdentity) => PeerIdentity | null): Promise<boolean> {
    return this.turns.take(async () => {
      const peer = this.pinned && change(this.pinned);
      if (peer === null) return false;
      await this.file.write(peer);
      this.pinned = peer;
      this.onChange();
      return true;
    });
  }

  /** Forgets the peer. */
  unpin(): Promise<void> {
    return this.turns.take(async () => {
      await this.file.remove();
      this.pinned = null;
      this.settings = { ...NO_SETTINGS, emailAddresses: this.settings.emailAddresses };
      this.onChange();
    });
  }

  /** Whether an address list was changed; kept on this server. */
  changeEmailAddresses(emailAddresses: string[]): Promise<void> {
    return this.turns.take(() => this.saveSettings({ ...this.settings, emailAddresses }));
  }

  /** GET /api/v1/ha/configuration. */
  view(record: ServerRecord): HaConfigurationView {
    const own = this.env.configuration.node;
    const peer = this.pinned;
    const addressOf = (role: 'primary' | 'secondary') => (own.role === role ? own.address : (peer?.address ?? null));
    const configured = record.pairId !== null && peer !== null;
    return {
      configured,
      secondaryAddress: configured ? addressOf('secondary') : null,
      primaryAddress: configured || own.role === 'primary' ? addressOf('primary') : null,
      failoverType: record.failoverType,
      emailAddresses: this.settings.emailAddresses,
      virtualIp: this.virtualIp,
      pairId: record.pairId,
    };
  }

  private pin(peer: PeerIdentity, settings: PairSettings): Promise<void> {
    return this.turns.take(async () => {
      await this.saveSettings(settings);
      await this.file.write(peer);
      this.pinned = peer;
      this.onChange();
    });
  }

  private async undoDatabase(context: EffectContext, discardCopy: boolean): Promise<void> {
    const undo =
      this.env.configuration.node.role === 'primary'
        ? this.database.retireSource(context)
        : discardCopy
          ? this.database.discardCopy(context)
          : Promise.resolve();
    await undo.catch((error: unknown) =>
      this.env.logger.error('Replication for the peer could not be taken back', { error }),
    );
  }

  private async saveSettings(settings: PairSettings): Promise<void> {
    await mkdir(dirname(settingsFile(this.env.paths)), { recursive: true });
    await writeFileAtomically(settingsFile(this.env.paths), `${JSON.stringify(settings)}\n`, { mode: 0o600 });
    this.settings = settings;
  }
}

/** `address` or `address:port`; IPv6 addresses with a port in brackets. */
export function targetOf(text: string, defaultPort: number): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  if (match === null) return { address: text, port: defaultPort };
  return { address: match[1] ?? match[2] ?? text, port: match[3] === undefined ? defaultPort : Number(match[3]) };
}

function settingsFile(paths: NodePaths): string {
  return join(paths.identity, 'pair-settings.json');
}

async function readSettings(file: string, logger: Logger): Promise<PairSettings> {
  try {
    return SettingsSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      logger.warn('The settings of the pair could not be read', { error });
    return NO_SETTINGS;
  }
}
