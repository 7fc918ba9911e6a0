// Verifies requests with the standardwebhooks package: one JSON object a line
// on standard input, {"secret", "headers", "body"}; one word a line out.
'use strict';

const { Webhook } = require('standardwebhooks');
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
