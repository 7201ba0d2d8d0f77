import { Injectable } from '@nestjs/common';
import {
  ForgetCertificate,
  PinCertificate,
  RenewCertificate,
  SetCertificateMode,
  UnpinCertificate,
} from '@understudy/contracts';
import { LocalFiles } from '../ports/local-files.port.ts';
import { HealthMonitorService } from './health-monitor.service.ts';

/** The certificates of this server and of its peer. */
@Injectable()
export class CertificatesService {
  constructor(
    private readonly files: LocalFiles,
    private readonly healthMonitor: HealthMonitorService,
  ) {}

  /** The pinned peer, null when not paired. */
  peer() {
    return this.files.peer();
  }

  /** PEM of this server's certificate, null when there is none. */
  own() {
    return this.files.ownCertificate();
  }

  /** PEM of both, null where there is none. */
  async pems(): Promise<{ own: string | null; peer: string | null }> {
    const [own, peer] = await Promise.all([this.own(), this.peer()]);
    return { own, peer: peer?.certificatePem ?? null };
  }

  /** How far the renewal of it is; null: none is under way. */
  renewal() {
    return this.files.renewal();
  }

  policy() {
    return this.files.certificatePolicy();
  }

  setMode(mode: 'trust-on-first-use' | 'pinned') {
    return this.healthMonitor.ask(SetCertificateMode, { mode });
  }

  /** Gives a certificate beforehand. */
  pin(fingerprint: string) {
    return this.healthMonitor.ask(PinCertificate, { fingerprint });
  }

  /** Takes that back. */
  unpin(fingerprint: string) {
    return this.healthMonitor.ask(UnpinCertificate, { fingerprint });
  }

  /** Trusts the pinned certificate of the peer no more. @param host null: whatever the peer is called */
  forget(host: string | null) {
    return this.healthMonitor.ask(ForgetCertificate, { host });
  }

  /** Renews it, or goes on with that. */
  renew() {
    return this.healthMonitor.ask(RenewCertificate, {});
  }
}
