// SPDX-License-Identifier: BSD-2-Clause

// The webhooks that a team would build itself: BullMQ on Redis, undici, and the
// library of Standard Webhooks.  One process adds the jobs and works on them.
//
//   node peer_bullmq.cjs REDIS-PORT URL EVENTS IN-FLIGHT
//
// It prints the time from the first job that is added to the last one that is
// delivered and recorded.

'use strict';

const { Queue, Worker } = require('bullmq');
const { Pool } = require('undici');
const { Webhook } = require('standardwebhooks');

const [port, url, events, inFlight] = process.argv.slice(2);
const BATCH = 1000;
const connection = { host: '127.0.0.1', port: Number(port) };
const webhook = new Webhook('whsec_' + Buffer.alloc(32, 7).toString('base64'));
const target = new URL(url);
const pool = new Pool(target.origin, { connections: Number(inFlight) });
const text = 'x'.repeat(80);

// The same members as an event of the other side.
function eventOf(n) {
    return JSON.stringify({ specversion: '1.0', id: `peer-${n}`,
        source: '/bench', type: `bench.type${n % 10}`,
        time: new Date().toISOString(), subject: `item/${n % 1000}`,
        feed: 'bench', sequence: String(n).padStart(20, '0'),
        cursor: `aaaaaaaa-${n}`, prevcursor: `aaaaaaaa-${n - 1}`,
        data: { n, text } });
}

async function deliver(job) {
    const body = job.data.event;
    const now = new Date();
    const answer = await pool.request({ method: 'POST', path: target.pathname,
        body, headers: { 'content-type': 'application/json',
            'webhook-id': job.name,
            'webhook-timestamp': String(Math.floor(now / 1000)),
            'webhook-signature': webhook.sign(job.name, now, body) } });
    await answer.body.dump();
    if (answer.statusCode >= 300) {
        throw new Error(`status ${answer.statusCode}`);
    }
    return { status: answer.statusCode, ms: Date.now() - now };
}

async function main() {
    const total = Number(events);
    const queue = new Queue('webhooks', { connection });
    let done = 0;

    await queue.waitUntilReady();
    const began = process.hrtime.bigint();
    const worker = new Worker('webhooks', deliver,
        { connection, concurrency: Number(inFlight) });
    const finished = new Promise((resolve, reject) => {
        worker.on('failed', (job, error) => reject(error));
        worker.on('error', reject);
        worker.on('completed', () => ++done === total && resolve());
    });

    for (let n = 0; n < total; n += BATCH) {
        const count = Math.min(BATCH, total - n);
        await queue.addBulk(Array.from({ length: count }, (_, i) => ({
            name: `peer-${n + i}`, data: { event: eventOf(n + i) },
            opts: { attempts: 10 } })));
    }
    await finished;
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    console.log(JSON.stringify({ events: total, seconds,
        rate: total / seconds }));
    await worker.close();
    await queue.obliterate({ force: true });
    await queue.close();
    await pool.close();
}

main().catch((error) => {
    console.error(String(error));
    process.exit(1);
});
