// SPDX-License-Identifier: BSD-2-Clause

// A partner that decrypts with npm jose: decrypt.js DIRECTORY, where DIRECTORY
// is that of the package.  Reads one request for each line, as JSON, and
// answers each with a line.  {"make": CRV} makes a pair of keys: {"public",
// "private"}.  {"jwk", "jwe"} decrypts: {"header", "plain" in base64}, or
// {"error"}.
'use strict';

const readline = require('node:readline');
const { pathToFileURL } = require('node:url');

globalThis.crypto ??= require('node:crypto').webcrypto;

const [dir] = process.argv.slice(2);

async function answer(jose, { make, jwk, jwe }) {
    if (make) {
        const { publicKey, privateKey } = await jose.generateKeyPair(
            'ECDH-ES+A256KW', { crv: make, extractable: true });

        return {
            public: { ...await jose.exportJWK(publicKey), kid: `k-${make}` },
            private: await jose.exportJWK(privateKey),
        };
    }

    const key = await jose.importJWK(jwk, 'ECDH-ES+A256KW');
    const { plaintext, protectedHeader } = await jose.compactDecrypt(jwe, key, {
        keyManagementAlgorithms: ['ECDH-ES+A256KW'],
        contentEncryptionAlgorithms: ['A256GCM'],
    });

    return {
        header: protectedHeader,
        plain: Buffer.from(plaintext).toString('base64'),
    };
}

(async () => {
    const { main, exports: paths } = require(`${dir}/package.json`);
    const entry = main ?? paths['.'].default;
    const jose = await import(pathToFileURL(`${dir}/${entry}`).href);

    for await (const line of readline.createInterface(process.stdin)) {
        let out;
        try {
            out = await answer(jose, JSON.parse(line));
        } catch (e) {
            out = { error: e.code ?? `${e}` };
        }
        console.log(JSON.stringify(out));
    }
})();
