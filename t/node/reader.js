// SPDX-License-Identifier: BSD-2-Clause

// Reads Server-Sent Events: reader.js PACKAGE URL KEY, where PACKAGE is the
// directory of a package.  It prints one JSON array per line: ["message", id of
// the event, lastEventId], ["position", cursor], ["end", status of its problem],
// ["open"], or ["error", readyState].
'use strict';

const path = require('path');

const [, , dir, url, key] = process.argv;
const say = (...words) => console.log(JSON.stringify(words));

function withKey(init) {
  return { ...init, headers: { ...(init || {}).headers, Authorization: `Bearer ${key}` } };
}

async function create() {
  if (path.basename(dir) === 'event-source-polyfill') {
    const { EventSourcePolyfill } = require(dir);
    return new EventSourcePolyfill(url, withKey({}));
  }
  const { EventSource } = await import(path.join(dir, 'dist', 'index.js'));
  return new EventSource(url, { fetch: (input, init) => fetch(input, withKey(init)) });
}

create().then((source) => {
  source.onopen = () => say('open');
  source.onmessage = (e) => say('message', JSON.parse(e.data).id, e.lastEventId);
  source.onerror = () => say('error', source.readyState);
  source.addEventListener('position', (e) => say('position', JSON.parse(e.data).cursor));
  source.addEventListener('end', (e) => say('end', JSON.parse(e.data).status));
});

// eventsource 5 does not keep the process alive while it waits to reconnect.
setInterval(() => {}, 60000);
