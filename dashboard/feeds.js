// SPDX-License-Identifier: BSD-2-Clause

// The feeds that the key may read, and a browser of their events.

import { api, base, now } from './api.js';
import { copied } from './copy.js';
import { button, el, field, replace, table } from './dom.js';
import { clock, when } from './format.js';

// A text in single quotes for a shell.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(path) {
  return `curl -H "Authorization: Bearer $KEY" ${quoted(base() + path)}`;
}

function list(status) {
  if (status.feeds.length === 0) {
    return el('p', {}, 'The key may read no feed.');
  }
  return table('Feeds that the key may read',
    ['Feed', 'Latest event', 'Published', 'Oldest that is kept'],
    status.feeds.map((feed) => [
      el('a', { href: `#events/${feed.name}` }, feed.name),
      feed.latest,
      feed.time ? when(feed.time, now()) : 'nothing yet',
      feed.oldest,
    ]));
}

export function feeds(main) {
  const body = el('div');
  replace(main, el('h2', {}, 'Feeds'), body);
  return {
    title: 'Feeds',
    seconds: 5,
    once: async (signal) =>
      replace(body, list(await api('GET', '/status', undefined, signal))),
  };
}

function event(entry) {
  const text = JSON.stringify(entry, null, 2);
  return el('details', { class: 'event' },
    el('summary', {}, `${entry.type}${entry.subject ? `, ${entry.subject}` : ''}`,
      el('span', { class: 'origin' }, `${clock(entry.time)}, ${entry.cursor}`)),
    el('pre', { tabindex: 0 }, text), copied(text, 'Copy the event'));
}

// One page at a time, by the cursors of the poll.
export function events(main, feed, told) {
  const body = el('div');
  const path = `/feeds/${encodeURIComponent(feed)}/events`;

  async function show(query) {
    const target = `${path}?${query}`;
    try {
      const page = await api('GET', target);
      const next = new URLSearchParams(query);
      next.delete('from');
      next.set('after', page.next);
      replace(body,
        el('p', {}, page.events.length === 0 ? 'No events match.'
          : `${page.events.length} events.`, ' ', el('code', {}, curl(target)), ' ',
        copied(curl(target), 'Copy curl')),
        page.events.map(event),
        page.has_more && button('Next page', () => show(next)));
      told(null, null);
    } catch (error) {
      told(null, error);
    }
  }

  const filter = el('form', {
    class: 'filter',
    onsubmit: (submitted) => {
      submitted.preventDefault();
      const query = new URLSearchParams({ limit: '20' });
      for (const [name, value] of new FormData(submitted.currentTarget)) {
        if (value) {
          query.set(name, value);
        }
      }
      show(query);
    },
  },
  field('From (oldest, latest, or a time)', 'from', 'text', { value: 'oldest' }),
  field('Types (order.*, price.changed)', 'types', 'text'),
  field('Subject', 'subject', 'text'),
  el('button', {}, 'Show events'));

  replace(main, el('p', {}, el('a', { href: '#feeds' }, 'All feeds')),
    el('h2', {}, `Events of ${feed}`), filter, body);
  show(new URLSearchParams({ limit: '20', from: 'oldest' }));
  return { title: feed, seconds: null, once: null };
}
