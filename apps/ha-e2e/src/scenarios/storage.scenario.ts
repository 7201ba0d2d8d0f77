import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EventView } from '@understudy/contracts';
import { until } from '../real-pair/deadline.ts';
import { namespacesAreAvailable } from '../real-pair/namespaces.ts';
import { TEST_TIMES } from '../real-pair/real-pair.ts';
import { SmallDisk } from '../real-pair/small-disk.ts';
import { Stage } from '../real-pair/stage.ts';
import { UnderstudyServer } from '../real-pair/understudy-server.ts';

const describeOnStage = namespacesAreAvailable() ? describe : describe.skip;

// Spec: "Use the Health Monitor Web Page".
describeOnStage('disk space (needs root, ip and network namespaces)', () => {
  let stage: Stage;
  let server: UnderstudyServer;
  let disk: SmallDisk;

  beforeAll(async () => {
    stage = Stage.create();
    const sections = { storage: { checkSeconds: 1 } };
    server = new UnderstudyServer(
      stage.n1,
      { name: 'alpha', role: 'primary', heartbeat: TEST_TIMES, sections },
      'composed',
    );
    disk = SmallDisk.mount(server.dataDirectory, 600);
    server.boot();
    await server.canBePaired({ withinMs: 90_000 });
  }, 120_000);
  afterAll(() => stage?.destroy());

  async function tells(code: string): Promise<EventView> {
    return until(`the event ${code}`, { withinMs: 15_000 }, async () => {
      const { json } = await server.rest('GET', '/ha/events?limit=20');
      return (json as { events: EventView[] }).events.find((event) => event.code === code);
    });
  }

  it('is watched: a disk that is full is told, and when it is free again', async () => {
    await until('the disk is full', { withinMs: 10_000 }, () => disk.fill());
    const { severity, message } = await tells('storage-critical');
    expect(severity).toBe('critical');
    expect(message).toContain(`space of ${server.dataDirectory} (data, database, WAL, logs, set aside): `);
    disk.free();
    expect((await tells('storage-clear')).severity).toBe('info');
  }, 60_000);
});
