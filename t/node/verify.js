// SPDX-License-Identifier: BSD-2-Clause

// Verifies requests: verify.js PACKAGE, where PACKAGE is standardwebhooks or svix.
// It reads one JSON object per line, {"secret", "headers", "body"}, and prints
// "verified" or "refused: REASON" for each.
'use strict';

const { Webhook } = require(process.argv[2]);
const lines = require('readline').createInterface({ input: process.stdin });

lines.on('line', (line) => {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log('verified');
  } catch (e) {
    console.log('refused: ' + e.message);
  }
});
