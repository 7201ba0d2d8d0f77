import type { ServerRole } from '@understudy/ha-core';
import { type RegistrationRefusal, refuse } from './registration-refusal.ts';

/** What one side knows of a server before it trusts it. */
export interface ServerFacts {
  readonly name: string;
  readonly role: ServerRole;
  readonly version: string;
  readonly databaseVersion: string;
  /** SHA-256 of its certificate. */
  readonly fingerprint: string;
}

/**
 * Why these two servers cannot be a pair; null when they can. Both sides ask, each about the other, so that both name the same reason.
 */
export function incompatibility(self: ServerFacts, other: ServerFacts): RegistrationRefusal | null {
  const conflict = identityConflict(self, other);
  if (conflict !== null) return conflict;
  if (series(self.version) !== series(other.version)) {
    return refuse(
      'wrong-version',
      `${self.name} runs version ${self.version} and ${other.name} ${other.version}: both need the same major.minor version`,
    ).refusal;
  }
  if (majorOf(self.databaseVersion) !== majorOf(other.databaseVersion)) {
    return refuse(
      'wrong-version',
      `${self.name} has PostgreSQL ${self.databaseVersion} and ${other.name} ${other.databaseVersion}: both need the same major version`,
    ).refusal;
  }
  return null;
}

/** Why these two are not a primary and a secondary, whatever runs on them; null when they are. */
export function identityConflict(
  self: Omit<ServerFacts, 'version' | 'databaseVersion'>,
  other: Omit<ServerFacts, 'version' | 'databaseVersion'>,
): RegistrationRefusal | null {
  if (self.role === other.role && self.name === other.name && self.fingerprint === other.fingerprint) {
    return refuse('wrong-role', `that is ${self.name} itself: give the address of the other server`).refusal;
  }
  if (self.role === other.role) {
    return refuse('wrong-role', `both servers (${self.name} and ${other.name}) were installed as ${self.role}`).refusal;
  }
  if (self.name === other.name) {
    return refuse('same-name', `both servers are named ${self.name}: change node.name on one of them`).refusal;
  }
  if (self.fingerprint === other.fingerprint) {
    return refuse(
      'same-name',
      `both servers have the same certificate: one is a copy of the other; remove its identity directory`,
    ).refusal;
  }
  return null;
}

/** `major.minor` of a product version. */
function series(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/** Major version of PostgreSQL in `15.18 (Debian 15.18-0+deb12u1)` or `PostgreSQL 15.18`. */
function majorOf(databaseVersion: string): string {
  return /\d+/.exec(databaseVersion)?.[0] ?? databaseVersion;
}
