#!/usr/bin/env bash
# PyPI openapi-core 0.23.1 (openapi-spec-validator 0.8.5), npm express-openapi-validator 5.6.2 on Node 20, 2026-11-30
#
# An OpenAPI document is served below a prefix that its author does not know, so
# its URLs are relative to the document: servers "." and tokenUrl "token".
# OpenAPI 3.1 allows both ("Relative References in URLs"), and
# openapi-spec-validator finds the document valid.  Two programs check requests
# to https://x.example/v1/feeds by it:
# - openapi-core finds no server for any request, even if it is given the
#   document's own URL as base_uri.  It finds "/v1" and whole URLs.
# - express-openapi-validator takes "." for the root of the host, so it knows
#   /feeds and not /v1/feeds.  It also answers every request with 500 while the
#   tokenUrl of a 3.1 document is relative, even "/v1/token": it checks the URL
#   by the format "uri".  In a 3.0 document it accepts the same URL.
# A program can put whole URLs into the document after loading it.
#
# Seen, GET /v1/feeds:
#   servers                 openapi-core     express-openapi-validator
#   .                       ServerNotFound   404 (and /feeds is 200)
#   /v1                     found            200
#   https://x.example/v1    found            200
#   tokenUrl in 3.1: "token" and "/v1/token" 500, https://x.example/v1/token 200
#   tokenUrl in 3.0: all three 200
set -eu
command -v python3 >/dev/null && command -v npm >/dev/null && command -v node >/dev/null || exit 77
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --target p openapi-core==0.23.1 openapi-spec-validator==0.8.5 > log 2>&1 || { echo 'not to be had: openapi-core 0.23.1'; exit 77; }
npm install --silent --no-audit --no-fund express@5.3.0 express-openapi-validator@5.6.2 >> log 2>&1 || { echo 'not to be had: express-openapi-validator 5.6.2'; exit 77; }
cat > document.json <<'D'
{ "openapi": "3.1.0", "info": { "title": "t", "version": "1" }, "servers": [{ "url": "." }],
  "paths": { "/feeds": { "get": { "responses": { "200": { "description": "feeds" } } } } },
  "components": { "securitySchemes": { "token": { "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": "token", "scopes": {} } } } } } }
D
cat > t.py <<'P'
import json
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest
from openapi_spec_validator import validate
document = json.load(open('document.json'))
validate(document)
print('openapi-spec-validator: valid')
for server in ('.', '/v1', 'https://x.example/v1'):
    document['servers'][0]['url'] = server
    api = OpenAPI.from_dict(document, base_uri='https://x.example/v1/openapi.json')
    errors = api.unmarshal_request(MockRequest('https://x.example', 'get', '/v1/feeds')).errors
    print('openapi-core', server, [type(e).__name__ for e in errors] or 'found')
P
cat > t.mjs <<'J'
import { createRequire } from 'node:module';
import http from 'node:http';
import fs from 'node:fs';
const require = createRequire(import.meta.url);
const express = require('express');
const validator = require('express-openapi-validator');
console.error = () => {};
async function statuses(openapi, server, tokenUrl, paths) {
  const apiSpec = JSON.parse(fs.readFileSync('document.json', 'utf8'));
  apiSpec.openapi = openapi;
  apiSpec.servers[0].url = server;
  apiSpec.components.securitySchemes.token.flows.clientCredentials.tokenUrl = tokenUrl;
  const app = express();
  app.use(validator.middleware({ apiSpec, validateSecurity: false }));
  app.use((request, response) => { response.json([]); });
  app.use((error, request, response, next) => { response.status(error.status || 500).end(); });
  const listening = http.createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => { listening.once('listening', resolve); });
  const found = [];
  for (const path of paths) {
    found.push((await fetch(`http://127.0.0.1:${listening.address().port}${path}`)).status);
  }
  listening.close(); listening.closeAllConnections();
  return found.join(' ');
}
const whole = 'https://x.example/v1/token';
console.log('servers .', await statuses('3.1.0', '.', whole, ['/v1/feeds', '/feeds']));
for (const server of ['/v1', 'https://x.example/v1']) {
  console.log('servers', server, await statuses('3.1.0', server, whole, ['/v1/feeds']));
}
for (const openapi of ['3.1.0', '3.0.3']) {
  for (const url of ['token', '/v1/token', whole]) {
    console.log(openapi, 'tokenUrl', url, await statuses(openapi, '/v1', url, ['/v1/feeds']));
  }
}
process.exit(0);
J
PYTHONPATH=p timeout 60 python3 t.py | tee out
timeout 60 node t.mjs | tee -a out
cat > expected <<'T'
openapi-spec-validator: valid
openapi-core . ['ServerNotFound']
openapi-core /v1 found
openapi-core https://x.example/v1 found
servers . 404 200
servers /v1 200
servers https://x.example/v1 200
3.1.0 tokenUrl token 500
3.1.0 tokenUrl /v1/token 500
3.1.0 tokenUrl https://x.example/v1/token 200
3.0.3 tokenUrl token 200
3.0.3 tokenUrl /v1/token 200
3.0.3 tokenUrl https://x.example/v1/token 200
T
diff expected out || { echo 'CHANGED'; exit 1; }
exit 0
