#!/usr/bin/env bash
# PyPI httpx-sse 0.4.3 (httpx 0.28.1), npm @microsoft/fetch-event-source 2.0.1 on Node 20, 2026-11-30
#
# A server keeps a quiet stream alive by comments (": ping" and an empty line),
# and sends "retry:" in a block of its own.  By the HTML standard a block without
# data dispatches no event.  fetch-event-source calls onmessage for every such
# block, with data "".  httpx-sse dispatches nothing for a comment at first, so a
# short test passes.  After the first event with an id, it yields an event with
# empty data for each comment, under the last id.  It always does so for a block
# that has only "retry:" or "id:".  The reader's JSON parser then fails as soon
# as the stream is silent.  A reader must skip events whose data is empty.
#
# Seen, 2 events with data, each after a comment, and 2 comments at the end:
#   httpx-sse, events without an id    2 events, none of them empty
#   httpx-sse, events with an id       5 events, 3 of them empty
#   fetch-event-source, both           6 events, 4 of them empty
#   either, a block with only retry    1 event, empty
set -eu
command -v python3 >/dev/null && command -v npm >/dev/null && command -v node >/dev/null || exit 77
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --target p httpx==0.28.1 httpx-sse==0.4.3 > log 2>&1 || { echo 'not to be had: httpx-sse 0.4.3'; exit 77; }
npm install --silent --no-audit --no-fund @microsoft/fetch-event-source@2.0.1 >> log 2>&1 || { echo 'not to be had: fetch-event-source 2.0.1'; exit 77; }
cat > server.py <<'P'
import http.server
BODY = {
    '/without': ': ping\n\ndata: {"n":1}\n\n: ping\n\ndata: {"n":2}\n\n: ping\n\n: ping\n\n',
    '/with': ': ping\n\nid: 1\ndata: {"n":1}\n\n: ping\n\nid: 2\ndata: {"n":2}\n\n: ping\n\n: ping\n\n',
    '/retry': 'retry: 1730\n\n',
}
class Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Type', 'text/event-stream')
        self.end_headers(); self.wfile.write(BODY[self.path].encode())
    def log_message(self, *arguments): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Stream)
print(server.server_port, flush=True)
server.serve_forever()
P
cat > client.py <<'P'
import sys, httpx, httpx_sse
with httpx.Client(trust_env=False) as client:
    for path in ('without', 'with', 'retry'):
        with httpx_sse.connect_sse(client, 'GET', sys.argv[1] + path) as source:
            events = list(source.iter_sse())
        empty = [e for e in events if e.data == '']
        raised = 0
        for event in empty:
            try:
                event.json()
            except ValueError:
                raised += 1
        print('httpx-sse', path, len(events), 'empty', len(empty), 'json() raises', raised)
P
cat > client.mjs <<'J'
// what the library wants of a browser
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { createRequire } = await import('node:module');
const { fetchEventSource } = createRequire(import.meta.url)('@microsoft/fetch-event-source');
for (const path of ['without', 'with', 'retry']) {
  const events = [];
  await fetchEventSource(process.argv[2] + path, { onmessage(e) { events.push(e); } });
  console.log('fetch-event-source', path, events.length, 'empty', events.filter((e) => e.data === '').length);
}
J
python3 server.py > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
PYTHONPATH=p timeout 30 python3 client.py "http://127.0.0.1:$(cat port)/" | tee out
timeout 30 node client.mjs "http://127.0.0.1:$(cat port)/" | tee -a out
cat > expected <<'T'
httpx-sse without 2 empty 0 json() raises 0
httpx-sse with 5 empty 3 json() raises 3
httpx-sse retry 1 empty 1 json() raises 1
fetch-event-source without 6 empty 4
fetch-event-source with 6 empty 4
fetch-event-source retry 1 empty 1
T
diff expected out || { echo 'CHANGED'; exit 1; }
exit 0
