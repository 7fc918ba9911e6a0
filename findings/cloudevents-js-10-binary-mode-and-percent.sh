#!/usr/bin/env bash
# npm cloudevents 10.0.0, Node 20, 2026-11-30
#
# In binary mode the values of attributes are percent-encoded in header fields
# (CloudEvents HTTP binding 1.0.2, 3.1.3.2: a sender MUST encode a blank, '"',
# '%' and all that is not visible ASCII; a receiver MUST decode once).  The
# package does neither.  HTTP.toEvent() hands out the encoded text as the
# attribute, without an error.  HTTP.binary() puts the text into the field as it
# is: Node refuses to send such a field if a character is above U+00FF
# (ERR_INVALID_CHAR), and a text that has "%41" arrives as "A".
# A JSON body of null becomes the text "null".
#
# Seen:
#   toEvent()  ce-subject: Euro%20%E2%82%AC     subject 'Euro%20%E2%82%AC'
#   toEvent()  body null, application/json      data 'null', a string
#   binary()   subject 'Euro €'                 ce-subject 'Euro €'
#   binary()   subject 'a%41'                   ce-subject 'a%41'
set -eu
command -v npm >/dev/null || exit 77
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
timeout 120 npm install --no-save --no-audit --no-fund cloudevents@10.0.0 > log 2>&1 || { echo 'not to be had: cloudevents 10.0.0'; exit 77; }
cat > t.js <<'J'
const { HTTP, CloudEvent } = require('cloudevents');
const http = require('http');
const headers = { 'content-type': 'application/json', 'ce-specversion': '1.0',
  'ce-id': '1', 'ce-source': '/s', 'ce-type': 't',
  'ce-subject': 'Euro%20%E2%82%AC' };
const seen = [
  HTTP.toEvent({ headers, body: '{}' }).subject,
  JSON.stringify(HTTP.toEvent({ headers, body: 'null' }).data),
];
for (const subject of ['Euro €', 'a%41']) {
  const event = new CloudEvent({ id: '1', source: '/s', type: 't', subject });
  seen.push(HTTP.binary(event).headers['ce-subject']);
}
try {
  http.request({ port: 9, headers: { 'ce-subject': seen[2] } }).on('error', () => {});
  seen.push('sent');
} catch (e) {
  seen.push(e.code);
}
console.log(seen.join('\n'));
J
node t.js | tee seen
printf '%s\n' 'Euro%20%E2%82%AC' '"null"' 'Euro €' 'a%41' ERR_INVALID_CHAR | diff - seen || { echo 'CHANGED'; exit 1; }
