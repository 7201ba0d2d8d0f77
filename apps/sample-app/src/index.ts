export { runSampleApp, type SampleApp, startSampleApp } from './sample-app.ts';
