#!/usr/bin/env bash
# npm standardwebhooks 1.1.1 and 1.0.0, svix 1.99.1, Node 20, 2026-11-30
#
# verify() takes a Buffer, and turns it into text before it computes the
# signature: bytes that are not UTF-8 become U+FFFD.  So a correctly signed body
# that is not UTF-8 (an image, gzip) is refused: "No matching signature found".
# sign() does the same, so the packages agree with themselves, and with no one
# who signs the bytes.
# Afterwards verify() parses the body as JSON.  A signed text that is no JSON
# raises a SyntaxError, which is no WebhookVerificationError.  Only
# standardwebhooks from 1.1.0 on can leave that out, by { jsonParse: false }.
#
# Seen, each body signed over its bytes by node:crypto, with jsonParse: false:
#   body          1.1.1      1.0.0         svix 1.99.1
#   00 ff 01      refused    refused       refused
#   "é", a text   verified   SyntaxError   SyntaxError
#   {}            verified   verified      verified
set -eu
command -v npm >/dev/null || exit 77
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
timeout 120 npm install --no-save --no-audit --no-fund standardwebhooks@1.1.1 old@npm:standardwebhooks@1.0.0 svix@1.99.1 > log 2>&1 || { echo 'not to be had: standardwebhooks 1.1.1, 1.0.0, svix 1.99.1'; exit 77; }
cat > t.js <<'J'
const { createHmac } = require('crypto');
const secret = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
for (const name of ['standardwebhooks', 'old', 'svix']) {
  const { Webhook } = require(name);
  const webhook = new Webhook('whsec_' + secret);
  for (const body of [Buffer.from([0, 255, 1]), Buffer.from('é'), Buffer.from('{}')]) {
    const at = String(Math.floor(Date.now() / 1000));
    const mac = createHmac('sha256', Buffer.from(secret, 'base64'))
      .update(`id.${at}.`).update(body).digest('base64');
    let said = 'verified';
    try {
      webhook.verify(body, { 'webhook-id': 'id', 'webhook-timestamp': at,
        'webhook-signature': 'v1,' + mac }, { jsonParse: false });
    } catch (e) {
      said = e.constructor.name;
    }
    console.log(name, body.toString('hex'), said);
  }
}
J
node t.js | tee seen
[ "$(grep -c '00ff01 WebhookVerificationError' seen)" = 3 ] || { echo 'CHANGED: bytes that are not UTF-8 are verified'; exit 1; }
[ "$(grep -c 'c3a9 SyntaxError' seen)" = 2 ] || { echo 'CHANGED: a text that is no JSON'; exit 1; }
[ "$(grep -c '7b7d verified' seen)" = 3 ] || { echo 'CHANGED: a JSON body'; exit 1; }
