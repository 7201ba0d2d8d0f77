import { runSampleApp } from './sample-app.ts';

await runSampleApp(process.env);
