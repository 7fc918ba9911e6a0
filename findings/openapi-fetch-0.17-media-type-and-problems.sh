#!/usr/bin/env bash
# npm openapi-fetch 0.17.0, openapi-typescript 7.13.0, typescript 5.9.3, Node 20, 2026-12-01
#
# createClient<paths, 'application/json'>() says which of several media types a
# client takes, so that `data` has one type.  It does that to `error` as well.
# An error of type application/problem+json (RFC 9457) then has the type of the
# whole `content` object: { "application/problem+json": { title: … } }.  At run
# time error.title is there; the compiler says that it is not.  Without the
# second type the error is right, and `data` is a union of all media types.
#
# Seen:
#   createClient<paths>                      error.title compiles
#   createClient<paths, 'application/json'>  TS2339: Property 'title' does not
#                exist on type '{ "application/problem+json": { title: string; }; }'
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
command -v npm >/dev/null || exit 77
cd "$dir"
timeout 120 npm install --no-save --no-audit --no-fund --ignore-scripts openapi-fetch@0.17.0 openapi-typescript@7.13.0 typescript@5.9.3 > npm.log 2>&1 || { echo 'not to be had'; exit 77; }
cat > api.json <<'E'
{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/thing":{"get":{"responses":{
 "200":{"description":"d","content":{"application/json":{"schema":{"type":"object","properties":{"a":{"type":"string"}}}},"text/plain":{"schema":{"type":"string"}}}},
 "404":{"description":"d","content":{"application/problem+json":{"schema":{"type":"object","required":["title"],"properties":{"title":{"type":"string"}}}}}}}}}}}
E
npx openapi-typescript api.json -o api.d.ts > ts.log 2>&1
try() {
    cat > $1.ts <<E
import createClient from 'openapi-fetch';
import type { paths } from './api.js';
const client = createClient<$2>({ baseUrl: 'http://127.0.0.1' });
export async function title(): Promise<string> {
  const { error } = await client.GET('/thing');
  return error ? error.title : '';
}
E
    echo "createClient<$2>:"
    npx tsc --strict --noEmit --skipLibCheck --module nodenext --target es2022 --lib es2022,dom $1.ts
}
echo '{"type":"module"}' > package.json
try all paths || { echo 'CHANGED: without a media type the error has no type'; exit 1; }
if try one "paths, 'application/json'"; then echo 'CHANGED: the error keeps its type'; exit 1; fi
exit 0
