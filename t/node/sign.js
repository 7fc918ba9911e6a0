// Signs a body with the standardwebhooks package:
// sign.js SECRET ID TIMESTAMP_S BODY
'use strict';

const { Webhook } = require('standardwebhooks');
const [secret, id, seconds, body] = process.argv.slice(2);

console.log(new Webhook(secret).sign(id, new Date(seconds * 1000), body));
