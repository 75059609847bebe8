// BullMQ's producer: `producer.mjs PORT load NAME MILLISECONDS COUNT TEXT` adds while the queue is paused and ends the
// pause when it reads a line; `producer.mjs PORT pace RATE SECONDS LOG TEXT` adds at a steady rate and writes down when
// each was sent; `producer.mjs PORT single COUNT TEXT` and `... bulk COUNT TEXT` add one after the other and 1,000 at once.
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';

const { Queue } = createRequire(`${process.cwd()}/`)('bullmq');
const [port, what, ...rest] = process.argv.slice(2);
const queue = new Queue('bench', { connection: { host: '127.0.0.1', port: Number(port) } });
const BATCH = 1000;

async function bulk(name, data, count) {
  for (let left = count; left > 0; left -= BATCH) {
    const jobs = Array.from({ length: Math.min(left, BATCH) }, () => ({ name, data }));
    await queue.addBulk(jobs);
  }
}

async function single(name, data, count) {
  for (let left = count; left > 0; left--) await queue.add(name, data);
}

async function pace(rate, seconds, path, text) {
  const log = createWriteStream(path);
  const count = Math.ceil(rate * seconds);
  const adding = new Set();
  const add = (n) => {
    const jobId = `bench-${n}`;
    log.write(`${jobId} ${Math.round((performance.timeOrigin + performance.now()) * 1e6)}\n`);
    const added = queue.add('mark', { milliseconds: 0, text }, { jobId });
    adding.add(added.finally(() => adding.delete(added)));
  };
  const begun = performance.now();
  let sent = 0;
  while (sent < count) {
    const due = Math.min(count, 1 + Math.floor(((performance.now() - begun) / 1000) * rate));
    while (sent < due) add(sent++);
    await pause(Math.max(0, begun + (sent * 1000) / rate - performance.now()));
  }
  await Promise.all(adding);
  await new Promise((closed) => log.end(closed));
}

await queue.waitUntilReady();
if (what === 'single' || what === 'bulk') await bulk('noop', { text: '' }, 100);
const begun = performance.now();
const report = () => console.log(JSON.stringify({ seconds: (performance.now() - begun) / 1000 }));
if (what === 'single' || what === 'bulk') {
  await (what === 'single' ? single : bulk)('noop', { text: rest[1] }, Number(rest[0]));
} else if (what === 'load') {
  const [name, milliseconds, count, text] = rest;
  await queue.pause();
  await bulk(name, { milliseconds: Number(milliseconds), text }, Number(count));
  report();
  await once(process.stdin, 'data');
  await queue.resume();
} else {
  await pace(Number(rest[0]), Number(rest[1]), rest[2], rest[3]);
}
report();
await queue.close();
process.exit(0);
