// SPDX-License-Identifier: BSD-2-Clause

// Signs a body and prints the signature: sign.js PACKAGE SECRET ID TIMESTAMP_S
// BODY.
'use strict';

const [name, secret, id, seconds, body] = process.argv.slice(2);
const { Webhook } = require(name);

console.log(new Webhook(secret).sign(id, new Date(seconds * 1000), body));
