// SPDX-License-Identifier: BSD-2-Clause

// The events of a feed: by every parameter that a poll has, and as they come.

import { api, base } from './api.js';
import { copied } from './copy.js';
import { button, el, field, redraw, replace } from './dom.js';
import { clock, many } from './format.js';
import { follow } from './live.js';

const SHOWN = 200;               // events in the page
const SEARCHED = 1000;           // newest events that a filter is tried on
const CURSOR = /^([a-z0-9]+)-([0-9]+)$/;

// A text in single quotes for a shell.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(path) {
  return `curl -H "Authorization: Bearer $KEY" ${quoted(base() + path)}`;
}

// The cursor that is n events before another one.  A cursor is opaque to
// partners, but this page is a part of the server.
export function before(cursor, n) {
  const [, epoch, sequence] = CURSOR.exec(cursor) ?? [];
  return epoch === undefined ? cursor : `${epoch}-${Math.max(0, Number(sequence) - n)}`;
}

// The text of an event is made when it is opened, so that many events cost
// little.
function entry(event, acknowledge) {
  const details = el('details', { class: 'event', 'data-key': event.cursor },
    el('summary', {}, `${event.type}${event.subject ? `, ${event.subject}` : ''}`,
      el('span', { class: 'origin' }, `${clock(event.time)}, ${event.cursor}`)));
  details.addEventListener('toggle', () => {
    const text = JSON.stringify(event, null, 2);
    details.append(el('pre', { tabindex: 0 }, text),
      el('p', { class: 'buttons' }, copied(text, 'Copy the event'),
        acknowledge && button('Acknowledge up to here', () => acknowledge(event.cursor))));
  }, { once: true });
  return details;
}

// The query of the form, without `from` or `after`.
function filters(data) {
  const query = new URLSearchParams();
  for (const name of ['types', 'subject']) {
    if (data.get(name)) {
      query.set(name, data.get(name));
    }
  }
  return query;
}

// Where a query begins.  "newest" is counted back from the feed's latest event,
// and not beyond its oldest.
async function begins(feed, from, limit, filtered) {
  if (CURSOR.test(from)) {
    return ['after', from];
  }
  if (from !== 'newest') {
    return ['from', from];
  }
  const path = `/feeds/${encodeURIComponent(feed)}/events?from=latest&limit=1`;
  const { latest, oldest } = await api('GET', path);
  const cursor = before(latest, filtered ? SEARCHED : limit);
  const [, epoch, first] = CURSOR.exec(oldest) ?? [];
  const [, mine, at] = CURSOR.exec(cursor) ?? [];
  return ['after', epoch === mine && Number(at) < Number(first) ? oldest : cursor];
}

// The newest n events that a filter matches, and the query that gives the same.
async function latest(path, query, n) {
  const asked = new URLSearchParams(query);
  let events = [];
  let page;
  asked.set('limit', 100);
  do {
    page = await api('GET', `${path}?${asked}`);
    events = [...events, ...page.events].slice(-n);
    asked.set('after', page.next);
  } while (page.has_more);
  const same = new URLSearchParams(query);
  if (events.length > 0) {
    same.set('after', events[0].prevcursor);
  }
  return { ...page, events, query: same };
}

// A browser of events, as elements and a function that ends it.
// `acknowledge` receives the cursor of an event; `told` what failed.  With a
// cursor that event is shown first, and open.
export function browser(feed, told, fresh, acknowledge, cursor) {
  const path = `/feeds/${encodeURIComponent(feed)}/events`;
  const about = el('p', { class: 'about' });
  const state = el('p', { class: 'following' });
  const list = el('div');
  const more = el('p');
  let end = () => {};
  let ended = false;
  let came = 0;

  function add(events) {
    list.prepend(...events.map((event) => entry(event, acknowledge)).reverse());
    while (list.children.length > SHOWN) {
      list.lastElementChild.remove();
    }
  }

  function watch(query, cursor) {
    let at = cursor;
    const stop = button('Stop following', () => {
      end();
      fresh(null, null);
      redraw(state, 'New events are not shown. ',
        button('Follow new events', () => watch(query, at)));
    });
    const count = el('span', {}, 'New events appear here as they come. ');
    redraw(state, count, stop);
    end = follow(path, query, cursor, {
      told: fresh,
      events: (events, lost) => {
        came += events.length;
        at = events.at(-1)?.cursor ?? at;
        add(events);
        count.textContent = `${many(came, 'new event')} since this page was opened. `
          + `${lost ? 'Some were deleted before they could be shown. ' : ''}`;
      },
    });
  }

  // Nothing old stands beside an error.
  function fail(error) {
    replace(list);
    redraw(more);
    replace(about, 'No events are shown, because the request failed.');
    if (error.problem?.parameter === 'from') {
      error.message = '"From" must be newest, oldest, a time such as '
        + '2026-11-30T12:00:00Z, or a cursor.';
    }
    told(null, error);
  }

  async function show(query, kept, newest) {
    end();
    replace(state);
    try {
      const page = newest ? await latest(path, query, newest)
        : await api('GET', `${path}?${query}`);
      if (ended) {
        return;
      }
      const target = `${path}?${page.query ?? query}`;
      const next = new URLSearchParams(query);
      next.delete('from');
      next.set('after', page.next);
      const command = curl(target);
      replace(about, page.events.length === 0 ? 'No events match. '
        : `${many(page.events.length, 'event')}, the newest first. `,
      el('code', {}, command), ' ', copied(command, 'Copy curl'));
      replace(list);
      add(page.events);
      if (cursor && page.events[0]?.cursor === cursor) {
        list.lastElementChild.open = true;
      }
      redraw(more, page.has_more && button('Next events', () => show(next, kept)));
      if (!page.has_more) {
        watch(kept, page.next);
      }
      told(null, null);
    } catch (error) {
      fail(error);
    }
  }

  async function ask(form) {
    const data = new FormData(form);
    const kept = filters(data);
    try {
      const filtered = kept.size > 0;
      const from = data.get('from').trim().replace(/^latest$/, 'newest') || 'newest';
      const limit = data.get('limit');
      const query = new URLSearchParams(kept);
      query.set(...await begins(feed, from, Number(limit), filtered));
      query.set('limit', limit);
      await show(query, kept, filtered && from === 'newest' && Number(limit));
    } catch (error) {
      fail(error);
    }
  }

  const form = el('form', {
    class: 'filter',
    onsubmit: (submitted) => {
      submitted.preventDefault();
      ask(submitted.currentTarget);
    },
  },
  field('From (newest, oldest, a time, or a cursor)', 'from', 'text',
    { value: cursor ? before(cursor, 1) : 'newest' }),
  field('Types (order.*, price.changed)', 'types', 'text'),
  field('Subject', 'subject', 'text'),
  field('At most', 'limit', 'number', { value: cursor ? '1' : '20', min: 1, max: 100, required: true }),
  el('button', {}, 'Show events'));

  return {
    nodes: [form, about, state, list, more],
    begin: () => ask(form),
    end: () => {
      ended = true;
      end();
    },
  };
}
