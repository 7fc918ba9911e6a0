// SPDX-License-Identifier: BSD-2-Clause

// Reads requests in binary mode: one JSON object per line, {"secret",
// "headers", "body"} with the body in base64.  For each it prints what
// standardwebhooks and the SDK of CloudEvents make of it: {"verified", "event"}.
'use strict';

const { HTTP } = require('cloudevents');
const { Webhook } = require('standardwebhooks');
const lines = require('readline').createInterface({ input: process.stdin });

lines.on('line', (line) => {
  const { secret, headers, body } = JSON.parse(line);
  const bytes = Buffer.from(body, 'base64');
  let verified = true;
  try {
    new Webhook(secret).verify(bytes, headers, { jsonParse: false });
  } catch (e) {
    verified = e.message;
  }
  const json = /json/.test(headers['content-type']);
  const event = HTTP.toEvent({ headers, body: json ? bytes.toString() : bytes });
  console.log(JSON.stringify({ verified, event }));
});
