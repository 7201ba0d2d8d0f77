import { posix } from 'node:path';
import { z } from 'zod';
import { scalarText } from './scalar-text.ts';

const absolutePath = z.string().regex(/^\//, 'is not an absolute path');
const seconds = (byDefault: number, what: string, atMost = 86_400) =>
  z.number().min(0.1).max(atMost).default(byDefault).describe(what);

const isWebAddress = (text: string) => /^https?:\/\//.test(text) && URL.canParse(text);

const HealthCheckSchema = z
  .strictObject({
    http: z
      .string()
      .refine(isWebAddress, 'is not a URL that begins with http:// or https://')
      .optional()
      .describe('a URL that answers with a status below 400'),
    tcp: z
      .string()
      .regex(/^\S+:\d{1,5}$/, 'is not host:port')
      .refine((target) => Number(target.slice(target.lastIndexOf(':') + 1)) <= 65_535, 'has a port above 65535')
      .optional()
      .describe('host:port that accepts a connection'),
    exec: z.array(z.string().min(1)).min(1).optional().describe('a command that ends with 0'),
    intervalSeconds: seconds(5, 'seconds between two checks'),
    timeoutSeconds: seconds(2, 'seconds for one check'),
    failures: z.int().min(1).default(3).describe('how many failed checks in a row make the process unhealthy'),
  })
  .refine((check) => [check.http, check.tcp, check.exec].filter((way) => way !== undefined).length === 1, {
    message: 'needs exactly one of http, tcp and exec',
  });

/** An application process: what runs on the server that is active. */
export const ProcessSchema = z
  .strictObject({
    name: z.string().min(1).max(64).describe('the name of the process, unique'),
    command: z.array(scalarText()).min(1).optional().describe('the program and its arguments, as a list'),
    unit: z
      .string()
      .regex(/^[A-Za-z0-9:_.@\\-]+$/, 'is not the name of a systemd service')
      .transform((name) => (name.endsWith('.service') ? name : `${name}.service`))
      .optional()
      .describe('the name of a systemd service'),
    container: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'is not the name of a container')
      .optional()
      .describe('the name of a container'),
    enabled: z.boolean().default(true).describe('true or false: whether it is run at all'),
    workingDirectory: absolutePath.optional().describe('the absolute path of the directory it is started in'),
    user: z.string().min(1).optional().describe('the operating system user that runs it'),
    environment: z.record(z.string(), scalarText()).default({}).describe('environment variables: name and value'),
    critical: z.boolean().default(false).describe('true or false: cannot be restarted means this server has failed'),
    runsOn: z.enum(['active', 'both']).default('active').describe('active or both'),
    // more would not fit into an orderly stop of the server
    stopSeconds: seconds(10, 'seconds between asking it to stop and killing it, at most 60', 60),
    restart: z
      .strictObject({
        attempts: z.int().min(0).default(3).describe('how many restarts within withinSeconds'),
        withinSeconds: seconds(60, 'seconds in which attempts are counted'),
        backoffSeconds: z.number().min(0).max(86_400).default(1).describe('seconds before a restart'),
      })
      .prefault({}),
    healthCheck: HealthCheckSchema.optional().describe('a check with one of http, tcp and exec'),
  })
  .refine((p) => [p.command, p.unit, p.container].filter((way) => way !== undefined).length === 1, {
    message: 'needs exactly one of command, unit and container',
  })
  .superRefine(({ command, container, workingDirectory, user, environment }, context) => {
    if (command !== undefined) return;
    const fixed = {
      workingDirectory: workingDirectory !== undefined,
      user: user !== undefined,
      environment: container !== undefined && Object.keys(environment).length > 0,
    };
    const owner = container === undefined ? 'unit' : 'container';
    for (const [key, isGiven] of Object.entries(fixed))
      if (isGiven) {
        const message = `is the ${owner}'s own matter: set it there`;
        context.addIssue({ code: 'custom', path: [key], message, params: { remedy: 'Remove it here.' } });
      }
  });

/** One application process as configured, defaults filled in. */
export type ProcessConfiguration = z.output<typeof ProcessSchema>;

const FileSetPattern = z
  .string()
  .min(1, 'is empty')
  .max(1000)
  .regex(/^[^/!\0]/, 'begins with "/" or "!": patterns are of paths below the directory')
  .describe('a pattern of paths below the directory, e.g. "*.conf" or "keys/**"');

/** A set of files that is kept the same on both servers. */
export const FileSetSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'is not made of 1 to 64 of the characters a-z, 0-9, ".", "_" and "-"')
    .describe('the name of the file set, [a-z0-9._-]{1,64}, unique'),
  path: absolutePath
    .refine((path) => path !== '/', 'is the root of the system')
    .transform((path) => posix.normalize(path).replace(/\/+$/, '') || '/')
    .describe('the absolute path of the directory'),
  class: z.enum(['realtime', 'batch']).describe('realtime (every 11 s) or batch (every 500 s)'),
  include: z.array(FileSetPattern).min(1).default(['**']).describe('a list of patterns of files to take'),
  exclude: z.array(FileSetPattern).default([]).describe('a list of patterns of files to leave'),
  atomic: z
    .boolean()
    .optional()
    .describe('true: all changes that belong together appear together on the other server; false without it'),
  maxMibPerSecond: z
    .number()
    .min(0.5)
    .max(100_000)
    .optional()
    .describe(
      'MiB of content that are sent each second at most, 0.5 to 100000; without it as fast as the link takes them',
    ),
});

/** One file set as configured, defaults filled in. */
export type FileSetConfiguration = z.output<typeof FileSetSchema>;
