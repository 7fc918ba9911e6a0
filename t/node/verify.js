// SPDX-License-Identifier: BSD-2-Clause

// Verifies requests: verify.js PACKAGE, standardwebhooks or svix; one JSON
// object a line on standard input, {"secret", "headers", "body"}; one word a
// line out.
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
