import { CAPACITY_SETTINGS, type ControlData } from './control-data.ts';

/** From what this server's postgresql.conf is made. */
export interface ServerConfigurationInput {
  readonly serverName: string;
  readonly listenAddresses: readonly string[];
  readonly port: number;
  readonly socketDirectory: string;
  /** Files with certificate, key and the peer's certificate; null before they exist. */
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
  readonly peerCertificateFile: string | null;
  /** Standby: how the active peer is reached and which of its slots is ours; null when active. */
  readonly source: { readonly connection: string; readonly slot: string } | null;
  readonly walKeepLimitBytes: number;
  /** Exact application_name of the peer when commits wait for it; null: they do not. */
  readonly synchronousPeer: string | null;
  /** `database.parameters` of the configuration file. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Values recorded in pg_control: a standby must not have less. */
  readonly capacity: ControlData['capacity'] | null;
}

/** The file's text, the settings that belong to us, and the configured ones that lost against ours. */
export interface ServerConfiguration {
  readonly text: string;
  readonly clashes: readonly { readonly name: string; readonly configured: string; readonly ours: string }[];
}

const MIB = 1024 * 1024;
/** Fewer WAL senders than this leave no room for a full copy (two) beside the standby and a backup tool. */
const WAL_SENDERS_MIN = 10;

/**
 * What the pair's safety rests on. Not settable by configuration, and removed from postgresql.auto.conf, which would win otherwise.
 * `max_wal_senders` is ours only where too low.
 */
function ownSettings(input: ServerConfigurationInput): Record<string, string> {
  const walKeepMegabytes = Math.max(64, Math.floor(input.walKeepLimitBytes / MIB));
  return {
    listen_addresses: input.listenAddresses.join(','),
    port: String(input.port),
    unix_socket_directories: input.socketDirectory,
    unix_socket_permissions: '0700',
    ssl: input.certificateFile && input.keyFile ? 'on' : 'off',
    ssl_cert_file: input.certificateFile ?? '',
    ssl_key_file: input.keyFile ?? '',
    ssl_ca_file: input.peerCertificateFile ?? '',
    ssl_crl_file: '',
    logging_collector: 'off',
    log_destination: 'stderr',
    lc_messages: 'C',
    fsync: 'on',
    full_page_writes: 'on',
    wal_level: 'replica',
    wal_log_hints: 'on',
    hot_standby: 'on',
    max_replication_slots: '10',
    max_slot_wal_keep_size: `${walKeepMegabytes}MB`,
    // Second net for a standby without a slot, e.g. right after a role change.
    wal_keep_size: `${Math.min(512, walKeepMegabytes)}MB`,
    // Explicitly off: an idle slot of an absent peer must not hold back vacuum on the active server.
    hot_standby_feedback: 'off',
    recovery_target_timeline: 'latest',
    recovery_min_apply_delay: '0',
    primary_conninfo: input.source?.connection ?? '',
    primary_slot_name: input.source?.slot ?? '',
    // A dead link must be seen well before our own deadlines; a restarted peer must be found again at once.
    wal_sender_timeout: '6s',
    wal_receiver_timeout: '6s',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '250ms',
    synchronous_standby_names: input.synchronousPeer ? `FIRST 1 ("${input.synchronousPeer}")` : '',
    restart_after_crash: 'on',
  };
}

/** Better than PostgreSQL's own defaults for a pair; configuration may say otherwise. */
const ADVISED_SETTINGS: Readonly<Record<string, string>> = {
  log_line_prefix: '%m [%p] %q%u@%d ',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  password_encryption: 'scram-sha-256',
  max_wal_senders: String(WAL_SENDERS_MIN),
  // Half-open sessions of vanished clients end within about half a minute.
  tcp_keepalives_idle: '15',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  cluster_name: 'understudy',
};

/** Names of the settings that only we may set. */
export const OWN_SETTING_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(
    ownSettings({
      serverName: '',
      listenAddresses: [],
      port: 0,
      socketDirectory: '',
      certificateFile: null,
      keyFile: null,
      peerCertificateFile: null,
      source: null,
      walKeepLimitBytes: 0,
      synchronousPeer: null,
      parameters: {},
      capacity: null,
    }),
  ),
  'data_directory',
  'config_file',
  'external_pid_file',
  'hba_file',
  'ident_file',
  'promote_trigger_file',
  'recovery_target',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
]);

/** Makes postgresql.conf. Configured settings join ours; where they clash ours win and the clash is returned, to be reported. */
export function renderServerConfiguration(input: ServerConfigurationInput): ServerConfiguration {
  const ours = ownSettings(input);
  const settings: Record<string, string> = { ...ADVISED_SETTINGS };
  const clashes: { name: string; configured: string; ours: string }[] = [];
  for (const [rawName, value] of Object.entries(input.parameters)) {
    const name = rawName.toLowerCase();
    if (OWN_SETTING_NAMES.has(name)) {
      if (value !== ours[name]) clashes.push({ name, configured: value, ours: ours[name] ?? 'not set' });
    } else {
      settings[name] = value;
    }
  }
  const walSenders = Number(settings.max_wal_senders);
  if (!(walSenders >= WAL_SENDERS_MIN)) {
    clashes.push({
      name: 'max_wal_senders',
      configured: String(settings.max_wal_senders),
      ours: String(WAL_SENDERS_MIN),
    });
    settings.max_wal_senders = String(WAL_SENDERS_MIN);
  }
  if (input.capacity && input.source) raiseCapacity(settings, input.capacity);
  Object.assign(settings, ours);
  const lines = Object.entries(settings)
    .sort(([left], [right]) => left.localeCompare(right))
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`);
  const head = `# Written by Understudy on server ${input.serverName}; changes here are lost. Use database.parameters in its configuration file.`;
  return { text: `${[head, ...lines].join('\n')}\n`, clashes };
}

/** A standby with less room than the server whose WAL it replays would pause or stop; so it takes over what WAL says. */
function raiseCapacity(settings: Record<string, string>, capacity: ControlData['capacity']): void {
  for (const name of CAPACITY_SETTINGS) {
    const configured = settings[name] === undefined ? null : Number(settings[name]);
    if (configured === null || configured < capacity[name]) settings[name] = String(capacity[name]);
  }
}

/**
 * postgresql.auto.conf without the settings that belong to us: it is read after postgresql.conf and would win, and a full copy
 * brings the peer's. Null when nothing has to change.
 */
export function withoutOwnSettings(autoConfiguration: string): { text: string; removed: readonly string[] } | null {
  const removed: string[] = [];
  const kept = autoConfiguration.split('\n').filter((line) => {
    const name = /^\s*([A-Za-z_]\w*)\s*(=|\s)/.exec(line)?.[1]?.toLowerCase();
    if (!name || !OWN_SETTING_NAMES.has(name)) return true;
    removed.push(name);
    return false;
  });
  return removed.length === 0 ? null : { text: kept.join('\n'), removed };
}

/**
 * What is left in the data directory as postgresql.conf. A hand that starts PostgreSQL there without us (a distribution's unit,
 * pg_ctl) would open the database while the peer may be active; so such a start fails with a name that tells why.
 */
export const FENCING_CONFIGURATION = `# This database is run by Understudy, with the configuration in its own directory.
# PostgreSQL started here by any other hand could write while the other server of the pair is active,
# so the next line makes such a start fail. To use the directory without Understudy, remove it.
this_database_is_started_by_understudy_only = on
`;
