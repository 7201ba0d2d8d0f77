import type { StatusView } from '@understudy/contracts';
import { HA_STATE_LABELS, type HaState, STATES_OF_ROLE } from '@understudy/ha-core';
import type { MetricAttributes, MetricName, Sample } from '@understudy/telemetry';
import { certificateFacts } from './certificate-facts.ts';

const ROLES = ['active', 'standby', 'none'] as const;

/** When the certificates (PEM) expire; null: there is none. */
export function certificateMetrics(certificates: Readonly<Record<'own' | 'peer', string | null>>): Sample[] {
  return Object.entries(certificates).flatMap(([of, certificatePem]) =>
    certificatePem === null
      ? []
      : [
          {
            metric: 'understudy.certificate.expiry' as const,
            attributes: { of },
            value: unixSeconds(certificateFacts(certificatePem).validTo),
          },
        ],
  );
}

/** What a status says as metrics. Without a status only that there is none, and the version. What is not known is left out. */
export function metricsOf(status: StatusView | null, version: string): Sample[] {
  const samples: Sample[] = [];
  const say = (metric: MetricName, value: number | boolean | null | undefined, attributes: MetricAttributes = {}) => {
    if (value !== null && value !== undefined) samples.push({ metric, attributes, value: Number(value) });
  };
  say('understudy.up', status !== null);
  say('understudy.build.info', 1, { version });
  if (status === null) return samples;
  const { node, peer, database, fileSync, state, configurationMode } = status;
  say('understudy.info', 1, { name: node.name, home_role: node.homeRole, state, mode: configurationMode });
  for (const name of STATES_OF_ROLE[node.homeRole])
    say('understudy.state', HA_STATE_LABELS[name as HaState] === state, { state: name });
  say('understudy.state.since', unixSeconds(status.since));
  for (const role of ROLES) say('understudy.role', status.currentRole === role, { role });
  say('understudy.epoch', status.epoch);
  say('understudy.automatic_failover.armed', status.automaticFailover.armed);
  say('understudy.witness.reachable', status.witness?.reachable);
  say('understudy.peer.reachable', peer?.reachable);
  say('understudy.peer.last_heartbeat', peer?.lastHeartbeatAt ? unixSeconds(peer.lastHeartbeatAt) : null);
  say('understudy.database.running', database.running);
  say('understudy.database.usable', database.usable);
  say('understudy.database.streaming', database.streaming);
  say('understudy.database.protected', database.protected);
  say('understudy.replication.lag', database.lagBytes);
  say('understudy.replication.delay', database.lagSeconds);
  say('understudy.file_sync.pending', fileSync.pending);
  say('understudy.file_sync.errors', fileSync.errors);
  for (const process of status.processes) {
    say('understudy.process.running', process.state === 'running', { name: process.name });
    say('understudy.process.restarts', process.restarts, { name: process.name });
  }
  return samples;
}

function unixSeconds(iso: string): number {
  return Date.parse(iso) / 1000;
}
