import { describe, expect, it } from '@jest/globals';
import { natsConfiguration, redisConfiguration } from './server-configurations.ts';

const BASE = {
  serverName: 'alpha',
  listen: '127.0.0.1',
  port: 4222,
  user: 'understudy',
  password: 'p',
  systemPassword: 's',
};
const LINK = {
  listen: '10.77.0.1',
  port: 7422,
  certificateFile: '/c.pem',
  keyFile: '/k.pem',
  peerCertificateFile: '/p.pem',
  pairId: 'pair',
};

describe('the bus’s configuration', () => {
  it('has no pair link before the server is paired', () => {
    expect(natsConfiguration({ ...BASE, pairLink: null })).not.toContain('leafnodes');
  });

  it('lets only pair messages and answers cross, behind mutual TLS with the pinned certificate', () => {
    const text = natsConfiguration({ ...BASE, pairLink: { ...LINK, dial: null } });
    expect(text).toContain('publish: { allow: ["pair.>", "_INBOX.>"] }, subscribe: { allow: ["pair.>", "_INBOX.>"] }');
    expect(text).toContain('ca_file: "/p.pem", verify: true');
    expect(text).not.toContain('remotes');
  });

  it('has the secondary dial, never both', () => {
    const text = natsConfiguration({ ...BASE, pairLink: { ...LINK, dial: { address: 'fd00::1', port: 7423 } } });
    expect(text).toMatch(/url: "tls:\/\/leaf:[0-9a-f]{64}@\[fd00::1\]:7423"/);
  });
});

it('the store syncs every write', () => {
  expect(redisConfiguration({ listen: '127.0.0.1', port: 6379, password: 'p', directory: '/d' })).toContain(
    'appendfsync always',
  );
});
