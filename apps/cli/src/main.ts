import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Beside the dependencies, not in /tmp: nobody else may put code there.
enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/understudy-cli', import.meta.url)));
const { runCli } = await import('./program.ts');
process.exitCode = await runCli(process.argv.slice(2));
