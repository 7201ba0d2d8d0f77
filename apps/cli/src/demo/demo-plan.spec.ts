import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadConfiguration } from '@understudy/platform';
import { demoDirectory, planDemo } from './demo-plan.ts';

const directory = mkdtempSync(join(tmpdir(), 'understudy-demo-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the plan of the demonstration', () => {
  it('is two valid configurations that share ports and key', async () => {
    const plan = await planDemo(directory, '/checkout');
    const [alpha, beta] = plan.servers.map(({ configurationFile }) => loadConfiguration(configurationFile, {}));
    if (!alpha?.ok || !beta?.ok) throw new Error(JSON.stringify([alpha, beta]));
    expect(alpha.configuration.node).toMatchObject({ role: 'primary', address: '127.0.1.1' });
    expect(beta.configuration.node).toMatchObject({ role: 'secondary', authenticationKeyFile: plan.keyFile });
    expect(alpha.configuration.ports).toEqual(beta.configuration.ports);
    expect(new Set(Object.values(plan.ports)).size).toBe(7);
    for (const usual of [5432, 4222, 6379]) expect(Object.values(plan.ports)).not.toContain(usual);
    expect(statSync(plan.keyFile).mode & 0o077).toBe(0);
  });

  it('is the same at the next start, and says so when a port was taken meanwhile', async () => {
    const plan = await planDemo(directory, '/checkout');
    expect(await planDemo(directory, '/checkout')).toEqual(plan);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(plan.ports.store, '127.0.1.2', resolve));
    await expect(planDemo(directory, '/checkout')).rejects.toThrow(`Port ${plan.ports.store}`);
    await new Promise((resolve) => other.close(resolve));
  });

  it('goes where it is told to', () => {
    expect(demoDirectory('/checkout', { UNDERSTUDY_DEMO_DIRECTORY: '/elsewhere' })).toBe('/elsewhere');
  });
});
