// SPDX-License-Identifier: BSD-2-Clause

// An issuer made of npm jose: issuer.js DIRECTORY ISS AUD, where DIRECTORY is
// that of the package.  Prints a JSON object with the set of public keys
// ("jwks") and a token by each algorithm ("tokens").
'use strict';

const { pathToFileURL } = require('node:url');

globalThis.crypto ??= require('node:crypto').webcrypto;

const [dir, iss, aud] = process.argv.slice(2);

(async () => {
    const { main, exports: paths } = require(`${dir}/package.json`);
    const entry = main ?? paths['.'].default;
    const jose = await import(pathToFileURL(`${dir}/${entry}`).href);
    const jwks = { keys: [] }, tokens = {};

    for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
        const { publicKey, privateKey } = await jose.generateKeyPair(alg,
            { extractable: true });
        const jwk = await jose.exportJWK(publicKey);

        jwks.keys.push({ ...jwk, kid: `k-${alg}`, alg, use: 'sig' });
        tokens[alg] = await new jose.SignJWT({ partner: 'acme', scope: 'read' })
            .setProtectedHeader({ alg, kid: `k-${alg}`, typ: 'at+jwt' })
            .setIssuer(iss).setAudience(aud).setSubject('someone')
            .setIssuedAt().setNotBefore('0s').setExpirationTime('10m')
            .setJti('one').sign(privateKey);
    }

    console.log(JSON.stringify({ jwks, tokens }));
})();
