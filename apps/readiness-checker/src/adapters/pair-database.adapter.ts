import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PeerIdentity } from '@understudy/contracts';
import { fileSystemUsage, type ServiceEnvironment } from '@understudy/platform';
import { z } from 'zod';
import type { Probe } from '../ports/probe.port.ts';
import { databaseAnswers } from './database-answers.ts';
import { ownConnection, peerConnection, psql } from './psql.ts';

const run = promisify(execFile);
const ANSWER_MS = 4000;
const LIMIT_MS = 6000;

/**
 * What is wrong in the files of settings. That a setting waits for a restart is listed among the errors, without a name and a file when it
 * was taken out, but is none: both servers have such after a switch.
 */
export const SETTINGS_ERRORS = `select coalesce(json_agg(concat_ws(': ', coalesce(name, sourcefile), error)), '[]')
  from pg_file_settings where error is not null and not exists (select from pg_settings as waiting
    where pending_restart and (waiting.name = pg_file_settings.name
      or pg_file_settings.name is null and position('"' || waiting.name || '"' in error) > 0))`;

/** What PostgreSQL here says of itself. Rules with errors keep it from reading its files again. */
const OWN_STATE = `select json_build_object(
  'bytes', (select sum(pg_database_size(oid)) from pg_database),
  'locales', (select json_agg(distinct datcollate) from pg_database where datallowconn),
  'errors', (select coalesce(json_agg('pg_hba.conf line ' || line_number || ': ' || error), '[]') from pg_hba_file_rules where error is not null),
  'settings', (${SETTINGS_ERRORS}),
  'peerRules', (select coalesce(json_agg(unnested), '[]') from (select unnest(database) as unnested from pg_hba_file_rules
    where type = 'hostssl' and auth_method = 'cert' and 'understudy_replication' = any(user_name)) as rules),
  'ssl', current_setting('ssl'),
  'source', case when pg_is_in_recovery() then current_setting('primary_conninfo') end)`;

const OwnStateSchema = z.object({
  bytes: z.coerce.number(),
  locales: z.array(z.string()).nullable(),
  errors: z.array(z.string()),
  settings: z.array(z.string()),
  peerRules: z.array(z.string()),
  ssl: z.string(),
  source: z.string().nullable(),
});

/** What the pair needs of this server's PostgreSQL, and a login at the peer's, really performed. */
export function pairDatabaseProbes(env: ServiceEnvironment, readPeer: () => Promise<PeerIdentity | null>): Probe[] {
  const { configuration, paths } = env;
  const { node, ports, database } = configuration;
  const ownState = async () => {
    const { output, isWhole } = await psql(env, ownConnection(env), OWN_STATE, ANSWER_MS);
    if (!isWhole) throw new Error(`PostgreSQL does not answer within ${ANSWER_MS / 1000} s`);
    return OwnStateSchema.parse(JSON.parse(output));
  };
  const requirePeer = async (): Promise<PeerIdentity> => {
    const peer = await readPeer();
    if (peer === null) throw new Error('HA is not configured: there is no other server yet');
    return peer;
  };
  const hasDatabase = () =>
    readFile(join(database.dataDirectory, 'PG_VERSION')).then(
      () => true,
      () => false,
    );
  const requireDatabase = async () => {
    if (!(await hasDatabase())) throw new Error('there is no database yet');
  };
  const probe = (title: string, fields: Probe['fields'], measure: Probe['measure']): Probe => ({
    ...{ title, fields, measure },
    limitMs: LIMIT_MS,
  });
  return [
    probe('listener of PostgreSQL', ['listener'], async () => {
      await requireDatabase();
      const problem = await databaseAnswers(node.address, ports.database, ANSWER_MS);
      return { listener: { value: { where: `${node.address}:${ports.database}`, problem } } };
    }),
    probe('configuration of the listener', ['listenerConfiguration'], async () => {
      await requireDatabase();
      const { errors, settings, peerRules, ssl } = await ownState();
      const isPaired = (await readPeer()) !== null;
      const missing = ['replication', 'postgres'].filter((name) => !peerRules.includes(name));
      const problems = [
        ...errors,
        ...settings,
        ...(ssl === 'on' ? [] : ['ssl is off']),
        ...(isPaired ? missing.map((name) => `pg_hba.conf has no rule that lets the other server in to ${name}`) : []),
      ];
      return { listenerConfiguration: { value: { problems } } };
    }),
    probe('configuration of the connection', ['connectionConfiguration'], async () => {
      const peer = await requirePeer();
      const state = (await hasDatabase()) ? await ownState() : null;
      const same = async (name: string, wanted: string) =>
        (await readFile(join(paths.postgresqlConfig, name), 'utf8').catch(() => null)) === wanted;
      const files: [string, string][] = [
        ['peer.pem', peer.certificatePem],
        ['server.pem', await readFile(paths.certificate, 'utf8')],
        ['server-key.pem', await readFile(paths.privateKey, 'utf8')],
      ];
      const problems: string[] = [];
      for (const [name, wanted] of files)
        if (!(await same(name, wanted)))
          problems.push(`${join(paths.postgresqlConfig, name)} is not what belongs to this pair`);
      if (state !== null && state.source !== null)
        for (const entry of [`host='${peer.address}'`, `port='${peer.ports.database}'`])
          if (!state.source.includes(entry)) problems.push(`primary_conninfo has no ${entry}`);
      return { connectionConfiguration: { value: { problems } } };
    }),
    probe('port of the other PostgreSQL', ['peerDatabasePort'], async () => {
      const peer = await requirePeer();
      const problem = await databaseAnswers(peer.address, peer.ports.database, ANSWER_MS);
      return { peerDatabasePort: { value: { where: `${peer.address}:${peer.ports.database}`, problem } } };
    }),
    probe('login at the other PostgreSQL', ['peerLogin'], async () => {
      const peer = await requirePeer();
      const where = `${peer.address}:${peer.ports.database}`;
      // the kind of login that a standby uses
      const connection = { ...peerConnection(env, peer), replication: 'true' };
      const problem = await psql(env, connection, 'IDENTIFY_SYSTEM', ANSWER_MS).then(
        ({ isWhole }) => (isWhole ? null : `no answer within ${ANSWER_MS / 1000} s`),
        (error: Error) => error.message,
      );
      return { peerLogin: { value: { where, problem } } };
    }),
    probe('locales', ['locales'], async (signal) => {
      const [{ stdout: library }, { stdout: installed }] = await Promise.all([
        run('getconf', ['GNU_LIBC_VERSION'], { signal }),
        run('locale', ['-a'], { signal }),
      ]);
      const used = (await hasDatabase()) ? ((await ownState()).locales ?? []) : [];
      const names = installed.trim().split('\n');
      return { locales: { value: { library: library.trim(), used, installed: names.slice(0, 1000) } } };
    }),
    probe('room for the database', ['databaseRoom'], async () => {
      const { availableBytes } = await fileSystemUsage(database.dataDirectory, ANSWER_MS);
      const databaseBytes = (await hasDatabase()) ? (await ownState()).bytes : null;
      return { databaseRoom: { value: { databaseBytes, availableBytes, walKeepLimitBytes: database.walKeepLimit } } };
    }),
  ];
}
