import { describe, expect, it } from '@jest/globals';
import { JsonLogger } from './logger.ts';
import { isSecretName, redactText } from './redaction.ts';

/** Planted: none of them may show in any line. */
const HUSH = 'hu5h-Hush.9';

function logged(message: string, fields: Record<string, unknown>): string {
  const lines: string[] = [];
  new JsonLogger('x', { write: (line) => lines.push(line) }).warn(message, fields);
  return lines.join('\n');
}

describe('a log line does not show', () => {
  it.each([
    'password',
    'userPassword',
    'pgpassword',
    'authenticationKey',
    'authentication-key',
    'privateKey',
    'sessionKey',
    'accessToken',
    'Authorization',
    'set-cookie',
    'clientSecret',
    'verifier',
  ])('the value of a field named %s, at any depth', (name) => {
    expect(isSecretName(name)).toBe(true);
    const line = logged('tried', { request: { headers: [{ [name]: HUSH }] }, [name]: { deeper: HUSH } });
    expect(line).not.toContain(HUSH);
    expect(line).toContain('[secret]');
  });

  it.each([
    `connect to postgres://understudy:${HUSH}@127.0.0.1:5432/app failed`,
    `nats://bus:${HUSH}@127.0.0.1:4222: refused`,
    `host=127.0.0.1 user=understudy password=${HUSH} dbname=app`,
    `host=127.0.0.1 password='${HUSH}' dbname=app`,
    `{"user":"a","password":"${HUSH}"}`,
    `ALTER ROLE replicator PASSWORD '${HUSH}'`,
    `Authorization: Bearer ${HUSH}`,
    `authorization: Basic ${Buffer.from(`a:${HUSH}`).toString('base64')}`,
    `-----BEGIN PRIVATE KEY-----\n${HUSH}\n-----END PRIVATE KEY-----`,
  ])('the secret in the text: %s', (text) => {
    const shown = [HUSH, Buffer.from(`a:${HUSH}`).toString('base64')];
    for (const line of [
      logged(text, {}),
      logged('failed', { detail: text }),
      logged('failed', { error: new Error(text) }),
      logged('failed', { error: new Error('outer', { cause: new Error(text) }) }),
    ])
      for (const secret of shown) expect(line).not.toContain(secret);
  });
});

it('what is no secret shows', () => {
  const fields = {
    keyFile: '/etc/understudy/authentication.key',
    passwordFile: '/etc/understudy/password',
    tokenSeconds: 60,
    url: 'https://beta:8443/health?pair=1',
    key: 'slot',
  };
  expect(JSON.parse(logged('password authentication failed for user "a"', fields))).toMatchObject({
    ...fields,
    message: 'password authentication failed for user "a"',
  });
  expect(redactText('the token is too old; the secret of the pair')).toBe(
    'the token is too old; the secret of the pair',
  );
});
