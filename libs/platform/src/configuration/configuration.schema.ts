import { z } from 'zod';
import { ByteSizeSchema } from './byte-size.ts';
import { FileSetSchema, ProcessSchema } from './processes.schema.ts';
import { scalarText } from './scalar-text.ts';

const port = (byDefault: number, what: string) => z.int().min(1).max(65535).default(byDefault).describe(what);
const absolutePath = z.string().regex(/^\//, 'is not an absolute path');

const NodeSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'is not made of 1 to 32 of the characters a-z, 0-9 and -')
    .describe('the name of this server, [a-z0-9-]{1,32}, unique in the pair'),
  role: z.enum(['primary', 'secondary']).describe('primary or secondary: what this server was installed as'),
  address: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'is neither an IP address nor a host name')
    .refine((text) => !['0.0.0.0', '::'].includes(text), 'is no address by which the peer could reach this server')
    .describe('the IP address or host name by which the peer reaches this server'),
  dataDirectory: absolutePath
    .default('/var/lib/understudy')
    .describe('the absolute path of the directory where this server keeps everything'),
  authenticationKeyFile: absolutePath
    .optional()
    .describe('the absolute path of the file with the authentication key; required on a secondary'),
});

const PortsSchema = z.strictObject({
  healthMonitor: port(8082, 'the TCP port of the Health Monitor page, REST and CLI'),
  fileSync: port(8083, 'the TCP port of file synchronisation, peer only'),
  pairLink: port(7422, 'the TCP port of the pair link, peer only'),
  database: port(5432, 'the TCP port of PostgreSQL'),
  bus: port(4222, 'the TCP port of the message bus, this server only'),
  store: port(6379, 'the TCP port of the node store, this server only'),
});

const HeartbeatSchema = z.strictObject({
  intervalSeconds: z.number().min(0.1).max(3600).default(5).describe('seconds between two beats, at least 0.1'),
  missedLimit: z.int().min(1).max(1000).default(3).describe('how many beats in a row may be missed, at least 1'),
  graceSeconds: z.number().min(0).max(3600).default(10).describe('seconds to wait after the last missed beat'),
  probeTimeoutSeconds: z
    .number()
    .min(0.1)
    .max(300)
    .default(5)
    .describe('seconds for the probe of the peer, 0.1 to 300'),
});

const FailoverSchema = z.strictObject({
  minimumSecondsBetween: z.number().min(0).default(300).describe('seconds between two automatic failovers; 0 = off'),
  maximumLagBytes: ByteSizeSchema.default(16 * 1024 * 1024).describe('bytes of lag above which no automatic failover'),
});

const DatabaseSchema = z.strictObject({
  binDirectory: absolutePath.optional().describe('the absolute path of the directory with PostgreSQL’s programs'),
  dataDirectory: absolutePath.optional().describe('the absolute path of PostgreSQL’s data directory'),
  osUser: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'is not a user name')
    .default('postgres')
    .describe('the operating system user that runs PostgreSQL when the server is run as root'),
  accessRules: z
    .array(z.string().regex(/^(local|host(no)?(ssl|gssenc)?)\s+\S+\s+\S+[^\n]*$/, 'is not a line of pg_hba.conf'))
    .default([])
    .describe('a list of pg_hba.conf lines'),
  parameters: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_.]*$/, 'is not a name of a setting'),
      scalarText(z.string().regex(/^[^\r\n\0]*$/, 'has a line break')),
    )
    .default({})
    .describe('settings of postgresql.conf: name and value'),
  retentionHours: z
    .number()
    .min(0)
    .max(24)
    .default(6)
    .describe('hours of absence after which a full copy is made, at most 24'),
  replication: z.enum(['async', 'sync']).default('async').describe('async or sync (commits wait for the standby)'),
  walKeepLimit: ByteSizeSchema.refine(
    (bytes) => bytes < 2 * 1024 ** 5,
    'is not below 2 PiB, more than PostgreSQL takes',
  )
    .default(8 * 1024 ** 3)
    .describe('the upper bound of WAL kept for an absent peer, e.g. 8GiB'),
  copyRateLimit: ByteSizeSchema.default(0).describe('bytes per second for a full copy; 0 = unlimited'),
});

const WitnessSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('nats').describe('nats or gateway'),
    servers: z.array(z.string().min(1)).min(1).describe('a list of NATS URLs'),
    credentialsFile: absolutePath.optional().describe('the absolute path of the credentials file'),
    leaseSeconds: z.number().min(1).max(600).default(15).describe('seconds a lease lasts, at least 1'),
  }),
  z.strictObject({ kind: z.literal('gateway'), address: z.string().min(1).describe('the address of the gateway') }),
]);

const MailSchema = z.strictObject({
  host: z.string().min(1).describe('the SMTP server'),
  port: z.int().min(1).max(65535).default(587).describe('the TCP port of the SMTP server'),
  user: z.string().optional().describe('the account at the SMTP server'),
  passwordFile: absolutePath.optional().describe('the absolute path of the file with the password'),
  from: z.string().min(1).describe('the sender’s e-mail address'),
  secure: z.enum(['none', 'starttls', 'tls']).default('starttls').describe('none, starttls or tls'),
});

/** The configuration file as written: every key of it, its default and its meaning. Times are in the unit in the key's name. */
export const ConfigurationFileSchema = z.strictObject({
  node: NodeSchema.describe('a section with name, role and address'),
  ports: PortsSchema.prefault({}),
  heartbeat: HeartbeatSchema.prefault({}),
  failover: FailoverSchema.prefault({}),
  database: DatabaseSchema.prefault({}),
  fileSets: z.array(FileSetSchema).default([]).describe('a list of file sets'),
  processes: z.array(ProcessSchema).default([]).describe('a list of application processes'),
  witness: WitnessSchema.optional().describe('a section with kind nats or gateway'),
  virtualIp: z
    .strictObject({
      interface: z
        .string()
        .regex(/^[^\s/]{1,15}$/, 'is no name of a network interface')
        .describe('the network interface that carries the virtual IP'),
    })
    .optional()
    .describe('a section with interface'),
  storage: z
    .strictObject({
      warnPercent: z.number().min(1).max(100).default(80).describe('percent of the disk used that warn, 1 to 100'),
      criticalPercent: z
        .number()
        .min(1)
        .max(100)
        .default(90)
        .describe('percent of the disk used that are critical, 1 to 100'),
      checkSeconds: z.number().min(1).max(86_400).default(30).describe('seconds between two checks of the disk'),
    })
    .prefault({}),
  readiness: z
    .strictObject({
      cpus: z.int().min(1).default(2).describe('CPUs that each server needs'),
      memory: ByteSizeSchema.default(2 * 1024 ** 3).describe('memory that each server needs, e.g. 8GiB'),
      disk: ByteSizeSchema.default(20 * 1024 ** 3).describe(
        'size of the disk that the database of each server needs, e.g. 200GiB',
      ),
    })
    .prefault({}),
  mail: MailSchema.optional(),
  telemetry: z
    .strictObject({
      otlpEndpoint: z.url().optional().describe('the URL of the OTLP/HTTP receiver'),
      serviceNamespace: z.string().optional().describe('the name of this site in telemetry'),
      sampleRatio: z
        .number()
        .min(0)
        .max(1)
        .default(0.05)
        .describe('how many traces of routine requests are sent, 0 to 1; switches always are'),
    })
    .prefault({}),
});

/** The configuration file with its defaults filled in, before what depends on the machine is worked out. */
export type ConfigurationFile = z.output<typeof ConfigurationFileSchema>;

/**
 * One server's whole configuration: the keys and units of the file, every default filled in. `binDirectory` is null when
 * PostgreSQL is not installed; byte sizes are numbers of bytes.
 */
export type NodeConfiguration = Omit<ConfigurationFile, 'database'> & {
  readonly database: Omit<ConfigurationFile['database'], 'binDirectory' | 'dataDirectory'> & {
    readonly binDirectory: string | null;
    readonly dataDirectory: string;
  };
};
