/** `npm start`: installs and builds what is missing, then runs the demonstration pair until Ctrl-C. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bootstrap, ROOT, runnable, runOrExplain } from './bootstrap.mjs';

await runOrExplain(async () => {
  bootstrap({ purpose: 'demo' });
  const demo = spawn(runnable(), [join(ROOT, 'apps/cli/dist/demo/main.js'), ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  // Ctrl-C reaches the demonstration too; it stops the pair in order, and only then this process may go.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => demo.kill('SIGTERM'));
  process.on('SIGHUP', () => demo.kill('SIGTERM'));
  process.exitCode = await new Promise((resolve) => {
    demo.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)));
  });
});
