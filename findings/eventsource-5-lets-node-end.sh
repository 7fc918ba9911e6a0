#!/usr/bin/env bash
# npm eventsource 5.1.5 on npm node 22.23.3, and eventsource 4.1.1, 2026-11-30
#
# A stream ends and the client is to come back after "retry".  While it waits,
# eventsource 5 keeps nothing that holds Node's event loop: its timer is
# unref'd.  A program that has nothing else to do ends there, with exit status
# 0 and without a word.  eventsource 4 waits and comes back.  (In a server,
# something else holds the loop, and nobody notices; a small follower of a feed
# needs a timer of its own.)
#
# Seen, a server that ends each stream after one event, "retry: 300":
#   eventsource 4.1.1: connected 3 times, ended by the test
#   eventsource 5.1.5: connected 1 time, the program ended by itself, status 0
set -eu
command -v npm >/dev/null || exit 77
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$dir"' EXIT
cd "$dir"
for v in 4.1.1 5.1.5; do
    mkdir "e$v"
    npm install --silent --no-audit --no-fund --prefix "e$v" "eventsource@$v" > log 2>&1 || { echo 'not to be had: eventsource'; exit 77; }
done
npm install --silent --no-audit --no-fund --prefix n node@22.23.3 > log 2>&1 || { echo 'not to be had: node 22.23.3'; exit 77; }
node=$dir/n/node_modules/.bin/node
"$node" --version
cat > server.js <<'J'
const http = require('http');
http.createServer((req, res) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end('retry: 300\nid: 1\ndata: one\n\n');
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
J
cat > client.mjs <<'J'
import { createRequire } from 'node:module';
const { EventSource } = createRequire(process.argv[2] + '/')('eventsource');
let opened = 0;
const source = new EventSource(`http://127.0.0.1:${process.argv[3]}/`);
process.on('exit', () => console.log('connected', opened));
source.onopen = () => { if (++opened === 3) { source.close(); process.exit(3); } };
J
"$node" server.js > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
for v in 4.1.1 5.1.5; do
    timeout 20 "$node" client.mjs "$dir/e$v" "$(cat port)" > "out$v" && status=0 || status=$?
    echo "eventsource $v: $(cat "out$v"), status $status"
    echo "$status" >> "out$v"
done
[ "$(paste -sd' ' out4.1.1)" = 'connected 3 3' ] || { echo 'CHANGED: 4 does not come back'; exit 1; }
[ "$(paste -sd' ' out5.1.5)" = 'connected 1 0' ] || { echo 'CHANGED: 5 does not end'; exit 1; }
exit 0
