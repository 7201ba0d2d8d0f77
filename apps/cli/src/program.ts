import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { CliError, EXIT } from './cli-error.ts';
import { sayJson } from './rendering/output.ts';

type Options = Record<string, unknown>;

/** Runs one command line (without program name) and resolves to its exit code; never rejects. */
export async function runCli(args: readonly string[]): Promise<number> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `understudy ha events | head` is no fault.
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });
  let exitCode: number = EXIT.done;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error, args.includes('--json'));
  }
}

/** Fields as a refusal of the server names them, in the words of this command line. */
const WORDS_OF_REST: Readonly<Record<string, string>> = {
  '/secondaryAddress': '--secondary',
  '/emailAddresses': '--email',
  '/virtualIp/ipv4': '--virtual-ip',
  '/virtualIp/ipv6': '--virtual-ip6',
  '/failoverType': '--failover-type',
  '/authenticationKey': 'the authentication key',
  '/newAuthenticationKey': 'the new key',
  '/confirm': '--confirm',
  '/fingerprint': 'the fingerprint',
  '/minutes': '--minutes',
  '/reason': '--reason',
  '#query/limit': '--limit',
  '#query/since': '--since',
};

function inOwnWords(message: string): string {
  return Object.entries(WORDS_OF_REST).reduce(
    (text, [word, option]) => text.replaceAll(word, option),
    message.replace(/\/emailAddresses\/\d+/g, '--email'),
  );
}

/** The code of an error that has none of its own, by its exit code. */
const CODES: Readonly<Record<number, string>> = {
  [EXIT.refused]: 'refused',
  [EXIT.usage]: 'wrong-usage',
  [EXIT.unreachable]: 'unavailable',
};

function explain(error: unknown, asJson: boolean): number {
  if (error instanceof CommanderError) {
    const isAsked = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
    if (isAsked || error.exitCode === 0) return EXIT.done;
    // a command without its subcommand prints its help
    if (asJson && error.code !== 'commander.help')
      sayJson({ error: { code: 'wrong-usage', message: error.message.replace(/^error: /, '') } });
    return EXIT.usage;
  }
  if (error instanceof CliError) {
    if (error.message === '') return error.exitCode; // it has been said
    // what is no refusal names files, whose paths may have the name of a field in them
    const fields = 'code' in error ? inOwnWords(error.message) : error.message;
    const message = fields.replaceAll('acceptDataLoss', '--accept-data-loss');
    process.stderr.write(`${message}\n`);
    const code = 'code' in error && error.code !== '' ? error.code : CODES[error.exitCode];
    if (asJson) sayJson({ error: { code, message } });
    return error.exitCode;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.refused;
}

/** The command tree. `setExitCode` gets the exit code of commands that end with one of their own. */
export function buildProgram(setExitCode: (code: number) => void): Command {
  const program = new Command('understudy')
    .description('Keeps an application alive on a pair of servers.')
    .version(version(), '--version')
    .addOption(
      new Option('--config <file>', 'configuration file of the server (default: /etc/understudy/node.yaml)').conflicts(
        'url',
      ),
    )
    .option('--url <url>', 'another server, e.g. https://10.77.0.2:8082')
    .option('--json', 'print JSON')
    .option('--ca <file>', 'with --url: certificate (PEM) to trust')
    .option('--insecure', 'with --url: trust whoever answers')
    .option('--login-key-file <file>', 'with --url: file with the authentication key to sign in with')
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false)
    .exitOverride();
  addStatus(program);
  addHa(program);
  addNode(program, setExitCode);
  addAgent(program, setExitCode);
  addConfig(program);
  addFiles(program);
  addCertificates(program);
  addPatch(program);
  addLogs(program);
  addHelp(program);
  return program;
}

/** Also of a command of a command: the library's own takes one word. */
function addHelp(program: Command): void {
  program
    .command('help')
    .argument('[command...]')
    .description('display help for command')
    .action((words: string[]) => {
      let command = program;
      for (const word of words) {
        command =
          command.commands.find((candidate) => candidate.name() === word) ??
          command.error(`error: unknown command '${words.join(' ')}'`);
      }
      command.help();
    });
}

function addStatus(program: Command): void {
  program
    .command('status')
    .description('what runs on this server')
    .action(async (_, command) => (await import('./commands/status.command.ts')).status(all(command)));
}

function addHa(program: Command): void {
  const ha = program.command('ha').description('high availability');
  const load = () => import('./commands/ha.command.ts');
  ha.command('status')
    .description('role, peer, state and failover type')
    .action(async (_, command) => (await import('./commands/status.command.ts')).haStatus(all(command)));
  action(ha, 'register', 'register the pair; on the primary')
    .requiredOption('--secondary <address>', 'address of the secondary')
    .requiredOption('--authentication-key-file <file>', 'file with the authentication key of the secondary')
    .addOption(new Option('--failover-type <type>').choices(['manual', 'automatic', 'observe']).default('manual'))
    .option('--email <addresses>', 'who is told, separated by commas')
    .option('--virtual-ip <address>', 'virtual IPv4 address')
    .option('--virtual-ip6 <address>', 'virtual IPv6 address')
    .option(
      '--replace-primary',
      'take the place of the lost primary: the active secondary’s database replaces this one',
    )
    .action(async (_, command) => (await load()).register(all(command)));
  action(ha, 'failover', 'take over from a failed or lost primary; on the secondary')
    .option('--accept-data-loss', 'although this server is known to lack data')
    .action(async (_, command) => (await load()).failover(all(command)));
  action(ha, 'force-failover', 'take over from a healthy primary, without loss; on the secondary').action(
    async (_, command) => (await load()).forceFailover(all(command)),
  );
  action(ha, 'failback', 'give the active role back to the primary; on the secondary')
    .option('--force', 'give up a broken active secondary')
    .option('--accept-data-loss', 'although the primary is known to lack data')
    .action(async (_, command) => (await load()).failback(all(command)));
  action(ha, 'activate-alone', 'become active: the peer is down and stays down')
    .option('--confirm <name>', 'name of the peer')
    .option('--accept-data-loss', 'although the peer is known to have served later, or further')
    .action(async (_, command) => (await load()).activateAlone(all(command)));
  action(ha, 'remove', 'remove HA; on the primary')
    .option('--confirm <name>', 'name of the peer, where it cannot be reached and may serve')
    .option('--accept-data-loss', 'although the peer is known to have served later, or further')
    .action(async (_, command) => (await load()).remove(all(command)));
  action(ha, 'cancel', 'cancel the running operation, while it can still be undone').action(async (_, command) =>
    (await load()).cancel(all(command)),
  );
  action(ha, 'failover-type', 'change who decides about a takeover; on the primary')
    .addArgument(new Argument('<type>', 'who decides').choices(['manual', 'automatic', 'observe']))
    .action(async (type, _, command) => (await load()).changeFailoverType(all(command), type));
  action(ha, 'virtual-ip', 'change the virtual IP, on both servers; on the primary')
    .option('--virtual-ip <address>', 'virtual IPv4 address')
    .option('--virtual-ip6 <address>', 'virtual IPv6 address')
    .option('--none', 'the pair has none any more')
    .action(async (_, command) => (await load()).changeVirtualIp(all(command)));
  const maintenance = ha.command('maintenance').description('planned work: no automatic failover meanwhile');
  action(maintenance, 'start', 'begin it, on both servers')
    .requiredOption('--minutes <minutes>', 'it ends by itself after so many, 1 to 1440')
    .requiredOption('--reason <text>', 'what is done, for the event list')
    .action(async (_, command) => (await load()).startMaintenance(all(command)));
  action(maintenance, 'end', 'end it before its time').action(async (_, command) =>
    (await load()).endMaintenance(all(command)),
  );
  ha.command('events')
    .description('the event list')
    .option('--follow', 'go on with what comes')
    .option('--limit <count>', 'how many', '100')
    .option('--since <id>', 'only those after this event')
    .action(async (_, command) => (await import('./commands/events.command.ts')).events(all(command)));
  ha.command('check-readiness')
    .description('check both servers; changes nothing without --fix, and nothing waits for the result')
    .option('--secondary <address>', 'before registration: address of the secondary')
    .option(
      '--authentication-key-file <file>',
      'before registration: file with the authentication key of the secondary',
    )
    .option('--fix', 'open ports that are closed, in the firewalls of both servers, for the other server only')
    .action(async (_, command) => (await import('./commands/readiness.command.ts')).checkReadiness(all(command)));
  ha.command('authkey')
    .description('change the authentication key, on both servers or on neither; on the primary')
    .argument('[newKey]', 'the new key; other users of this machine may see it in the list of processes')
    .option('--new-key-file <file>', 'file with the new key')
    .action(async (newKey, _, command) => (await load()).changeAuthenticationKey(all(command), newKey));
  ha.command('?', { hidden: true }).action(() => ha.outputHelp());
}

function addNode(program: Command, setExitCode: (code: number) => void): void {
  const node = program.command('node').description('this server itself');
  const load = () => import('./commands/node.command.ts');
  node
    .command('run')
    .description('run this server in the foreground until SIGTERM')
    .addOption(new Option('--layout <layout>').choices(['separate', 'composed', 'containers']).default('separate'))
    .action(async (_, command) => setExitCode(await (await load()).run(all(command))));
  node
    .command('part')
    .description('run one part of a server whose parts run in containers of their own')
    .argument('<name>', 'nats, redis, or the name of a service')
    .action(async (name, _, command) => setExitCode(await (await load()).part(name, all(command))));
  node
    .command('stop')
    .description('stop the running server')
    .action(async (_, command) => setExitCode(await (await load()).stop(all(command))));
  node
    .command('status')
    .description('whether the server runs, and its parts')
    .action(async (_, command) => setExitCode(await (await load()).status(all(command))));
}

function addAgent(program: Command, setExitCode: (code: number) => void): void {
  const load = () => import('./commands/agent.command.ts');
  program
    .command('agent')
    .description('run a command in this container when the health monitor calls for it')
    .requiredOption('--name <name>', 'by which it is called')
    .argument('<command...>', 'the command, after "--"')
    .action(async (words, _, command) => setExitCode(await (await load()).agent(all(command), words)));
  program
    .command('with-agent')
    .description('have the agent of another container run its command; as the command of a process')
    .argument('<name>', 'name of the agent')
    .action(async (name, _, command) => setExitCode(await (await load()).withAgent(name, all(command))));
}

function addConfig(program: Command): void {
  const config = program.command('config').description('the configuration file');
  const load = () => import('./commands/config.command.ts');
  config
    .command('check')
    .description('print every error at once')
    .action(async (_, command) => (await load()).checkConfiguration(all(command)));
  config
    .command('show')
    .description('print the effective values, secrets masked')
    .action(async (_, command) => (await load()).showConfiguration(all(command)));
}

function addFiles(program: Command): void {
  const files = program.command('files').description('the file sets that are kept the same on both servers');
  const load = () => import('./commands/files.command.ts');
  files
    .command('status')
    .description('direction, last complete run, what is pending, errors by file')
    .option('--follow', 'go on with what changes')
    .action(async (_, command) => (await load()).filesStatus(all(command)));
  files
    .command('diff')
    .description('what differs between the servers in a file set, and since when')
    .argument('<set>', 'name of the file set')
    .action(async (set, _, command) => (await load()).filesDiff(all(command), set));
  files
    .command('confirm-deletion')
    .description('let so many files of a set go at once; on the standby')
    .argument('<set>', 'name of the file set')
    .option('--yes', 'do not ask')
    .action(async (set, _, command) => (await load()).confirmDeletion(all(command), set));
}

function addCertificates(program: Command): void {
  const cert = program.command('cert').description('certificates of this server and its peer');
  const load = () => import('./commands/certificates.command.ts');
  cert
    .command('list')
    .description('the pinned certificate of the peer, and that of this server')
    .action(async (_, command) => (await load()).listCertificates(all(command)));
  cert
    .command('renew')
    .description('renew the certificate of this server; the other one trusts both meanwhile')
    .option('--no-wait', 'do not wait for its end')
    .action(async (_, command) => (await load()).renewCertificate(all(command)));
  cert
    .command('forget')
    .argument('<host>', 'as "cert list" names it, or address or name of the peer', named)
    .description('trust the pinned certificate of the peer no more: it has to prove itself anew')
    .action(async (host, _, command) => (await load()).forgetCertificate(all(command), host));
  cert
    .command('mode')
    .addArgument(
      new Argument('<mode>', 'whether its server has to prove the key only, or its fingerprint is given too').choices([
        'trust-on-first-use',
        'pinned',
      ]),
    )
    .description('how a certificate that was not seen before comes to be trusted')
    .action(async (mode, _, command) => (await load()).setCertificateMode(all(command), mode));
  cert
    .command('pin')
    .argument('<fingerprint>', 'SHA-256 that "cert list" shows on the other server as "this server"')
    .description('give the certificate of the other server beforehand, as mode pinned asks')
    .action(async (fingerprint, _, command) => (await load()).pinCertificate(all(command), fingerprint));
  cert
    .command('unpin')
    .argument('<fingerprint>', 'as "cert list" shows it under "given beforehand"', named)
    .description('take that back; the certificate that is pinned stays pinned')
    .action(async (fingerprint, _, command) => (await load()).unpinCertificate(all(command), fingerprint));
}

/** Without a name the path of a request is that of something else: a script may have lost the word. */
function named(word: string): string {
  if (word === '') throw new InvalidArgumentError('it is empty.');
  return word;
}

function addPatch(program: Command): void {
  const patch = program.command('patch').description('software update');
  for (const name of ['pack', 'sign', 'verify', 'upload', 'install', 'list']) toCome(patch, `${name} [words...]`, '');
}

function addLogs(program: Command): void {
  const logs = program.command('logs').description('log files');
  toCome(logs, 'level <level>', 'error, informational, trace or off');
  toCome(logs, 'download <file>', 'all log files as a .zip');
}

function action(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--yes', 'do not ask')
    .option('--no-wait', 'return as soon as the work has started');
}

/** A command of the contract whose work is still to come. */
function toCome(parent: Command, usage: string, description: string): void {
  parent
    .command(usage)
    .description(`${description}${description ? ' ' : ''}(not yet available)`)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new CliError(EXIT.refused, `${parent.name()} ${usage.split(' ')[0]}: not yet available.`);
    });
}

function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** A command's own options with those of its parents. */
function all<T>(command: Command): T {
  return command.optsWithGlobals<Options>() as T;
}
