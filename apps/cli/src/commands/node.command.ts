import { resolve } from 'node:path';
import { CliError, EXIT } from '../cli-error.ts';
import { type GlobalOptions, ownConfigurationFile } from '../client/connect.ts';
import {
  type Layout,
  NotStartable,
  nodeStatus,
  PARTS,
  runContainers,
  runNode,
  runPart,
  stopNode,
} from '../node-runner/index.ts';
import { say, sayJson } from '../rendering/output.ts';

/** `node run`: runs this server until it is told to stop; resolves to the exit code. */
export function run(options: GlobalOptions & { layout: Layout | 'containers' }): Promise<number> {
  const configFile = fileOf(options);
  return options.layout === 'containers'
    ? runContainers({ configFile })
    : runNode({ configFile, layout: options.layout });
}

/** `node part`: runs one part of this server until it is told to stop; resolves to the exit code. */
export function part(name: string, options: GlobalOptions): Promise<number> {
  const known = PARTS.find((each) => each === name);
  if (known === undefined) throw new CliError(EXIT.usage, `there is no part "${name}"; parts are ${PARTS.join(', ')}`);
  return runPart({ configFile: fileOf(options), part: known });
}

/** `node stop`: 0 also when it did not run. */
export async function stop(options: GlobalOptions): Promise<number> {
  const configFile = fileOf(options);
  const hasRun = await explained(() => stopNode({ configFile }));
  if (options.json) sayJson({ stopped: hasRun });
  else say(hasRun ? 'The server is stopped.' : 'The server was not running.');
  return EXIT.done;
}

/** `node status`: 0 when the server runs, 3 when it does not. */
export async function status(options: GlobalOptions): Promise<number> {
  const configFile = fileOf(options);
  const running = await explained(() => nodeStatus({ configFile }));
  if (options.json) {
    sayJson({ running: running !== null, pid: running?.pid ?? null, children: running?.children ?? [] });
  } else if (running) {
    say(`The server is running (process ${running.pid}).`);
    for (const { name, pid } of running.children) say(`  ${name} (process ${pid})`);
  } else {
    say('The server is not running.');
  }
  return running ? EXIT.done : EXIT.unreachable;
}

/** Absolute: the services that inherit it may run elsewhere. */
function fileOf(options: GlobalOptions): string {
  return resolve(ownConfigurationFile(options));
}

async function explained<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotStartable) throw new CliError(EXIT.usage, error.lines.join('\n'));
    throw new CliError(EXIT.refused, (error as Error).message);
  }
}
