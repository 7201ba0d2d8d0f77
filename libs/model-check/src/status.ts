import { grantsToPeer, isServing, type PeerView, toldOfRecord } from '@understudy/ha-core';
import { lsnOf } from './normal-form.ts';
import { streams } from './performing.ts';
import { other, type Side, type Timeless, type World } from './world.ts';

/** Whether the databases stream, as `side` sees it: as the source or as the standby. */
export function seesStream(world: World, side: Side): boolean {
  return streams(world, world.bodies[side].value.mode === 'read-write' ? other(side) : side);
}

/** What `side` tells its peer now. */
export function statusOf(world: World, side: Side): PeerView {
  const mind = world.minds[side].value;
  const { record } = mind;
  const body = world.bodies[side].value;
  const streaming = seesStream(world, side);
  const standby = world.bodies[other(side)].value;
  return {
    ...toldOfRecord(record),
    lsn: body.mode === 'none' || body.hung ? null : lsnOf(body.log.length),
    lagBytes: streaming && body.mode === 'read-write' ? body.log.length - standby.log.length : null,
    streaming,
    databaseUsable: isUsable(world, side),
    processesOk: !isServing(record) || (body.processes && mind.failedProcess === null),
    stopping: false,
    grants: mind.settings.witness?.kind !== 'nats' || grantsToPeer(mind),
  };
}

/** What db-replication reports now; `blind`: it cannot read the position. */
export function observationOf(world: World, side: Side, blind: boolean): Timeless {
  const { mode, hung, log } = world.bodies[side].value;
  const running = mode === 'read-write' || mode === 'standby';
  return {
    type: 'database-observed',
    database: {
      running,
      usable: isUsable(world, side),
      streaming: seesStream(world, side),
      lsn: mode === 'none' || hung || blind ? null : lsnOf(log.length),
      lagBytes: 0,
      restartsExhausted: false,
      commitsConfirmedSince: null,
    },
  };
}

function isUsable({ bodies }: World, side: Side): boolean {
  const { mode, hung } = bodies[side].value;
  return !hung && (mode === 'read-write' || mode === 'standby');
}
