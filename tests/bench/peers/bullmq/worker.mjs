// BullMQ's worker: `worker.mjs PORT CONCURRENCY keep|remove`; keep is its default: what is done is kept with its result.
// Run where bullmq is installed; BENCH_LOG is the file that `mark` writes to.
import { openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const { Worker } = createRequire(`${process.cwd()}/`)('bullmq');
const [port, concurrency, done] = process.argv.slice(2);
const log = process.env.BENCH_LOG ? openSync(process.env.BENCH_LOG, 'a') : null;

async function run(job) {
  if (job.name !== 'mark') return null;
  const begun = performance.timeOrigin + performance.now();
  if (job.data.milliseconds > 0) {
    await new Promise((ready) => setTimeout(ready, job.data.milliseconds));
  }
  writeSync(log, `${job.id} ${Math.round(begun * 1e6)}\n`);
  return null;
}

const options = {
  connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null },
  concurrency: Number(concurrency),
};
if (done === 'remove') options.removeOnComplete = { count: 0 };
const worker = new Worker('bench', run, options);
worker.on('error', (error) => console.error(error));
await worker.waitUntilReady();
console.log('ready');
