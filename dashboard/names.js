// SPDX-License-Identifier: BSD-2-Clause

// What the events of deliveries are: dead letters and attempts have only their
// feed and number, so that the events are read from the feeds, a few requests
// at a time.

import { api } from './api.js';
import { before } from './events.js';

const AT_ONCE = 20;              // events of a request
const REQUESTS = 5;              // of one refresh

function number(cursor) {
  return Number(cursor.replace(/.*-/, ''));
}

// What was asked for and is not among the events was deleted.
function take(known, feed, asked, page) {
  for (const event of page.events) {
    known.set(`${feed} ${event.cursor}`, event);
  }
  const end = page.events.length > 0 ? number(page.events.at(-1).cursor) : number(page.next);
  for (const cursor of asked) {
    if (number(cursor) <= end && !known.has(`${feed} ${cursor}`)) {
      known.set(`${feed} ${cursor}`, null);
    }
  }
}

export function names() {
  const known = new Map();       // null: the feed no longer keeps it
  const closed = new Set();      // feeds that the key may not read

  async function ask(feed, asked, signal) {
    const query = new URLSearchParams({ after: before(asked[0], 1), limit: AT_ONCE });
    try {
      take(known, feed, asked, await api('GET', `/feeds/${encodeURIComponent(feed)}/events?`
        + query, undefined, signal));
      return true;
    } catch (error) {
      if (error.status === 410) {
        known.set(`${feed} ${asked[0]}`, null);
        return true;
      }
      if ([400, 403, 404].includes(error.status)) {
        closed.add(feed);
      }
      return false;
    }
  }

  // Reads those of [feed, cursor] that are not known yet.  It never fails: names
  // are left out then.
  async function learn(list, signal) {
    for (let i = 0; i < REQUESTS; i += 1) {
      const missing = list.filter(([feed, cursor]) => cursor && !closed.has(feed)
        && !known.has(`${feed} ${cursor}`));
      if (missing.length === 0) {
        return;
      }
      const [feed, first] = missing[0];
      const epoch = first.replace(/-.*/, '-');
      const asked = missing.filter(([f, c]) => f === feed && c.startsWith(epoch))
        .map(([, c]) => c).sort((a, b) => number(a) - number(b));
      if (!await ask(feed, asked, signal) && !closed.has(feed)) {
        return;
      }
    }
  }

  return { learn, of: (feed, cursor) => known.get(`${feed} ${cursor}`), size: () => known.size };
}

// The type and subject of an event, where they are known.
export function title(event) {
  return event ? `${event.type}${event.subject ? `, ${event.subject}` : ''}`
    : event === null ? 'the feed no longer keeps it' : '';
}
