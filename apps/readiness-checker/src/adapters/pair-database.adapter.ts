import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { trustedPem } from '@understudy/contracts';
import { fileSystemUsage, type ServiceEnvironment } from '@understudy/platform';
import { z } from 'zod';
import { type Counterpart, isCandidate, isPeer, requireServer } from '../ports/counterpart.port.ts';
import type { Probe } from '../ports/probe.port.ts';
import { hasDatabase } from './ports.adapter.ts';
import { ownConnection, psql } from './psql.ts';

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
  'hugePages', current_setting('huge_pages'),
  'hugePagesNeeded', nullif(current_setting('shared_memory_size_in_huge_pages', true), '-1'),
  'ssl', current_setting('ssl'),
  'source', case when pg_is_in_recovery() then current_setting('primary_conninfo') end)`;

const OwnStateSchema = z.object({
  bytes: z.coerce.number(),
  locales: z.array(z.string()).nullable(),
  errors: z.array(z.string()),
  settings: z.array(z.string()),
  peerRules: z.array(z.string()),
  hugePages: z.enum(['off', 'try', 'on']),
  hugePagesNeeded: z.coerce.number().nullable(),
  ssl: z.string(),
  source: z.string().nullable(),
});

/** What the pair needs of this server's PostgreSQL. */
export function pairDatabaseProbes(env: ServiceEnvironment): Probe[] {
  const { configuration, paths } = env;
  const { database } = configuration;
  const ownState = async () => {
    const { output, isWhole } = await psql(env, ownConnection(env), OWN_STATE, ANSWER_MS);
    if (!isWhole) throw new Error(`PostgreSQL does not answer within ${ANSWER_MS / 1000} s`);
    return OwnStateSchema.parse(JSON.parse(output));
  };
  const stateIfAny = async (counterpart: Counterpart) =>
    (await hasDatabase(env, counterpart)) ? await ownState() : null;
  const probe = (title: string, fields: Probe['fields'], measure: Probe['measure']): Probe => ({
    ...{ title, fields, measure },
    limitMs: LIMIT_MS,
  });
  return [
    probe('configuration of the listener', ['listenerConfiguration'], async (_, counterpart) => {
      const state = await stateIfAny(counterpart);
      if (state === null) throw new Error('there is no database yet');
      const { errors, settings, peerRules, ssl } = state;
      const isPaired = isPeer(counterpart);
      const missing = ['replication', 'postgres'].filter((name) => !peerRules.includes(name));
      const problems = [
        ...errors,
        ...settings,
        ...(ssl === 'on' ? [] : ['ssl is off']),
        ...(isPaired ? missing.map((name) => `pg_hba.conf has no rule that lets the other server in to ${name}`) : []),
      ];
      return { listenerConfiguration: { value: { problems } } };
    }),
    probe('configuration of the connection', ['connectionConfiguration'], async (_, counterpart) => {
      const server = requireServer(counterpart);
      const peer = isCandidate(counterpart) ? null : server;
      const [certificate, privateKey] = await Promise.all(
        [paths.certificate, paths.privateKey].map((file) => readFile(file, 'utf8')),
      );
      const isKeyPair = new X509Certificate(certificate ?? '').checkPrivateKey(createPrivateKey(privateKey ?? ''));
      const state = await stateIfAny(counterpart);
      const same = async (name: string, wanted: string) =>
        (await readFile(join(paths.postgresqlConfig, name), 'utf8').catch(() => null)) === wanted;
      // a server that is neither paired nor has a database has none of them yet
      const files: [string, string][] = [
        ...(peer === null ? [] : [['peer.pem', trustedPem(peer) || (certificate ?? '')] satisfies [string, string]]),
        ...(peer === null && state === null
          ? []
          : ([
              ['server.pem', certificate ?? ''],
              ['server-key.pem', privateKey ?? ''],
            ] satisfies [string, string][])),
      ];
      const problems = isKeyPair ? [] : [`${paths.privateKey} is not the key of ${paths.certificate}`];
      for (const [name, wanted] of files)
        if (!(await same(name, wanted)))
          problems.push(`${join(paths.postgresqlConfig, name)} is not what belongs to this pair`);
      if (peer !== null && state !== null && state.source !== null)
        for (const entry of [`host='${peer.address}'`, `port='${peer.ports.database}'`])
          if (!state.source.includes(entry)) problems.push(`primary_conninfo has no ${entry}`);
      return { connectionConfiguration: { value: { problems } } };
    }),
    probe('locales', ['locales'], async (signal, counterpart) => {
      const [{ stdout: library }, { stdout: installed }] = await Promise.all([
        run('getconf', ['GNU_LIBC_VERSION'], { signal }),
        run('locale', ['-a'], { signal }),
      ]);
      const used = (await stateIfAny(counterpart))?.locales ?? [];
      const names = installed.trim().split('\n');
      return { locales: { value: { library: library.trim(), used, installed: names.slice(0, 1000) } } };
    }),
    probe('huge pages', ['hugePages'], async (_, counterpart) => {
      const memory = await readFile('/proc/meminfo', 'utf8');
      const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(memory)?.[1] ?? 0);
      const state = await stateIfAny(counterpart);
      return {
        hugePages: {
          value: {
            total: of('HugePages_Total'),
            pageBytes: of('Hugepagesize') * 1024,
            setting: state?.hugePages ?? null,
            needed: state?.hugePagesNeeded ?? null,
          },
        },
      };
    }),
    probe('room for the database', ['databaseRoom'], async (_, counterpart) => {
      const { availableBytes } = await fileSystemUsage(database.dataDirectory, ANSWER_MS);
      const databaseBytes = (await stateIfAny(counterpart))?.bytes ?? null;
      return { databaseRoom: { value: { databaseBytes, availableBytes, walKeepLimitBytes: database.walKeepLimit } } };
    }),
  ];
}
