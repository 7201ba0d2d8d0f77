import { fileURLToPath } from 'node:url';
import { CliError, EXIT } from '../cli-error.ts';
import { Demo } from './demo.ts';
import { demoDirectory } from './demo-plan.ts';
import { CONSOLE_HELP } from './demo-text.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((word) => word !== '--reset');
  if (unknown !== undefined) {
    process.stderr.write(`npm start knows --reset, not ${unknown}\n`);
    return EXIT.usage;
  }
  const root = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
  const log = (line: string) => process.stdout.write(`${line}\n`);
  const asked = new Promise<'asked'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('asked'));
  });
  let demo: Demo | undefined;
  // also when both servers were stopped by another hand, and nobody types
  const stays = setInterval(() => undefined, 60_000);
  try {
    const isReset = args.includes('--reset');
    demo = await Demo.prepare({ directory: demoDirectory(root), root, isReset }, log);
    const started = demo.start();
    started.catch(() => undefined);
    if ((await Promise.race([started, asked])) !== 'asked') {
      await listenToConsole(demo, log);
      await asked;
    }
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (error.message !== '') process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  } finally {
    await demo?.stop();
    clearInterval(stays);
    process.stdin.destroy();
  }
}

async function listenToConsole(demo: Demo, log: (line: string) => void): Promise<void> {
  const { createInterface } = await import('node:readline');
  if (process.stdin.isTTY) log(CONSOLE_HELP);
  // Without `output`: the terminal itself turns Ctrl-C into a signal.
  createInterface({ input: process.stdin, terminal: false }).on('line', (line) => {
    if (line.trim() === '') return;
    demo.perform(line).catch(() => log(CONSOLE_HELP));
  });
}
