import { Injectable } from '@nestjs/common';
import { LocalFiles } from '../ports/local-files.port.ts';

/** What this server trusts. */
@Injectable()
export class CertificatesService {
  constructor(private readonly files: LocalFiles) {}

  /** The pinned peer, null when not paired. */
  peer() {
    return this.files.peer();
  }
}
