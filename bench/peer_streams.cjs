// SPDX-License-Identifier: BSD-2-Clause

// The Durable Streams server, file-backed, with a stream of events.
//
//   node peer_streams.cjs PORT DIRECTORY EVENTS-FILE
//
// The file has one event a line.  When all are stored, it prints the path that
// reads the last hundred, and serves until it is killed.

'use strict';

const fs = require('fs');
const { DurableStreamTestServer } = require('@durable-streams/server');

const [port, dataDir, file] = process.argv.slice(2);
const BATCH = 100;

async function main() {
    const server = new DurableStreamTestServer({ port: Number(port),
        host: '127.0.0.1', dataDir });
    const base = `http://127.0.0.1:${port}`;
    const path = '/v1/stream/bench';
    const headers = { 'content-type': 'application/json' };
    const events = fs.readFileSync(file, 'utf8').trim().split('\n');
    let offset, last;

    await server.start();
    await fetch(base + path, { method: 'PUT', headers });
    for (let i = 0; i < events.length; i += BATCH) {
        const answer = await fetch(base + path, { method: 'POST', headers,
            body: `[${events.slice(i, i + BATCH).join(',')}]` });
        if (!answer.ok) {
            throw new Error(`append: ${answer.status}`);
        }
        offset = last;
        last = answer.headers.get('stream-next-offset');
    }

    const read = `${path}?offset=${offset}`;
    const page = await (await fetch(base + read)).json();
    if (page.length !== BATCH) {
        throw new Error(`${page.length} events instead of ${BATCH}`);
    }
    console.log(JSON.stringify({ url: base + read }));
}

main().catch((error) => {
    console.error(String(error));
    process.exit(1);
});
