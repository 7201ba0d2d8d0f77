import type { PeerIdentity } from '@understudy/contracts';
import type { Server } from '@understudy/ha-core';
import { BusError } from '@understudy/messaging';
import {
  type CertificateMode,
  type CertificatePolicy,
  type Logger,
  type NodePaths,
  readCertificatePolicy,
  writeCertificatePolicy,
} from '@understudy/platform';
import { Turns } from '../domain/turns.ts';

const GIVEN_MAX = 20;

/** What the trust in certificates needs of this server. */
export interface TrustSurroundings {
  readonly paths: NodePaths;
  peer(): PeerIdentity | null;
  /** `unknown`: since this server's start or since it has this peer, nothing was heard, and nobody was missed yet. */
  peerLink(): Server['link'];
  /** See `Pairing.repin`. */
  repin(change: (peer: PeerIdentity) => PeerIdentity | null): Promise<boolean>;
  tell(severity: 'info' | 'warning', message: string): void;
}

/** How a server is named where its certificate is meant: `10.77.0.2_8082`. */
export function hostOf({ address, ports }: Pick<PeerIdentity, 'address' | 'ports'>): string {
  return `${address}_${ports.healthMonitor}`;
}

/**
 * Which certificates may become those of the peer, and which is no more. Everybody has to prove the authentication key; in mode `pinned`
 * the fingerprint has to be one that an operator has given as well. Spec: "How to Replace the Primary Server".
 */
export class CertificateTrust {
  private policy: CertificatePolicy = { mode: 'pinned', given: [] };
  private readonly turns = new Turns();

  constructor(
    private readonly own: TrustSurroundings,
    private readonly logger: Logger,
  ) {}

  /** Reads what an operator has said. While it cannot be read nobody new is trusted. */
  async load(): Promise<void> {
    try {
      this.policy = await readCertificatePolicy(this.own.paths);
    } catch (error) {
      this.logger.error('The mode of certificates cannot be read: no certificate is trusted on first use', { error });
    }
  }

  /** Why a certificate that is not trusted yet may not be; null when it may. @param fingerprint SHA-256, lower-case hexadecimal */
  objection(fingerprint: string): string | null {
    const { mode, given } = this.policy;
    if (mode === 'trust-on-first-use' || given.includes(fingerprint)) return null;
    return `certificates are trusted here only when they were given beforehand, and ${fingerprint} was not: compare it with "this server" of "understudy cert list" on the other server, then "understudy cert pin ${fingerprint}" here`;
  }

  /** Resolves with the mode that holds now. What is pinned stays pinned. */
  async setMode(mode: CertificateMode): Promise<CertificateMode> {
    const { mode: before } = await this.keep((policy) => ({ ...policy, mode }));
    if (mode !== before) this.own.tell('info', `The mode of certificates is ${mode} now, it was ${before}.`);
    return mode;
  }

  /** An operator gives a certificate beforehand. The newest 20 are kept. */
  async give(fingerprint: string): Promise<void> {
    await this.keep(({ mode, given }) => ({
      mode,
      given: [...given.filter((known) => known !== fingerprint), fingerprint].slice(-GIVEN_MAX),
    }));
    this.own.tell(
      'info',
      `The certificate ${fingerprint} may become that of the other server: an operator has given it.`,
    );
  }

  /** The operator takes that back; what is pinned stays pinned. Throws `BusError` `not-found`. */
  async takeBack(fingerprint: string): Promise<void> {
    await this.keep(({ mode, given }) => {
      if (!given.includes(fingerprint))
        throw new BusError('not-found', `${fingerprint} was not given beforehand: see "understudy cert list".`);
      return { mode, given: given.filter((known) => known !== fingerprint) };
    });
    this.own.tell('info', `The certificate ${fingerprint} is no longer given beforehand.`);
  }

  /**
   * The pinned certificate of the peer is trusted no more; the pair stays. Resolves with what happens next, for people. Throws `BusError`:
   * `not-found` (nothing of that name is pinned), `not-allowed` (the peer is connected under it, or may be: it is not known yet).
   *
   * @param host as `cert list` names it, or address or name of the peer; null: the peer, whatever it is called
   */
  async forget(host: string | null): Promise<{ host: string; fingerprint: string; next: string }> {
    const { own } = this;
    const peer = own.peer();
    if (peer === null) throw new BusError('not-found', 'No certificate is pinned: this server is not paired.');
    if (host !== null && ![hostOf(peer), peer.address, peer.name].includes(host))
      throw new BusError('not-found', `No certificate is pinned for ${host}; the peer is ${hostOf(peer)}.`);
    const { fingerprint, name } = peer;
    if (peer.isForgotten) return { host: hostOf(peer), fingerprint, next: this.nextOf(peer) };
    const link = own.peerLink();
    if (link === 'unknown')
      throw new BusError('not-allowed', `${name} is still being looked for: try again in a moment.`);
    if (link === 'up')
      throw new BusError(
        'not-allowed',
        `${name} is connected under this certificate: without it the pair would be cut in two. To change it, "understudy cert renew" on ${name}; to end the pair, "understudy ha remove".`,
      );
    await own.repin(({ next: _, ...present }) =>
      present.fingerprint === fingerprint ? { ...present, isForgotten: true } : null,
    );
    const next = this.nextOf(peer);
    own.tell('warning', `The certificate of ${name}, ${fingerprint}, is forgotten. ${next}`);
    return { host: hostOf(peer), fingerprint, next };
  }

  private nextOf(peer: PeerIdentity): string {
    const until = `Nobody is taken for ${peer.name} until what answers at ${peer.address}:${peer.ports.healthMonitor} has proven the authentication key; its certificate is pinned then.`;
    if (this.policy.mode === 'trust-on-first-use') return until;
    return `${until} Its fingerprint must have been given before with "understudy cert pin": the mode is pinned.`;
  }

  /** One change after another: two at a time would each begin with what was before both. Resolves with what was before. */
  private keep(change: (policy: CertificatePolicy) => CertificatePolicy): Promise<CertificatePolicy> {
    return this.turns.take(async () => {
      const before = this.policy;
      const policy = change(before);
      await writeCertificatePolicy(this.own.paths, policy);
      this.policy = policy;
      return before;
    });
  }
}
