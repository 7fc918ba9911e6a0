// SPDX-License-Identifier: BSD-2-Clause

// The feeds that the key may read: how fresh each is, and how far it was read.

import { api, now } from './api.js';
import { browser } from './events.js';
import { checkpoints } from './checkpoints.js';
import { el, facts, redraw, replace, table } from './dom.js';
import { ago, many, percent, span, when } from './format.js';
import { follow } from './live.js';

// A worker gives the same status again for a second.
const AGAIN = 1100;

// When the partner's readers last polled, and how far they got.
function read(polls) {
  if (!polls) {
    return 'none yet';
  }
  const behind = polls.behind === null ? '' : polls.behind === 0 ? ', up to the newest event'
    : `, up to ${many(polls.behind, 'event')} before the newest`;
  return `${ago(polls.last, now())}${behind}`;
}

function batch(polls) {
  return polls?.batch ? many(Math.round(polls.batch * 10) / 10, 'event') : '–';
}

// Answers that were no success, by class of status.
function errors(polls) {
  const bad = Object.entries(polls?.answers ?? {})
    .filter(([kind]) => /^[45]/.test(kind)).map(([kind, n]) => `${n} × ${kind}`);
  return bad.length > 0 ? el('span', { class: 'bad' }, bad.join(', ')) : 'none';
}

// The promise of a feed, where it has one, beside its newest event.
export function freshness(feed, reader = 'you') {
  const age = feed.time ? when(feed.time, now()) : 'nothing yet';
  if (!feed.fresh_within) {
    return age;
  }
  const kept = feed.polls?.fresh?.share ?? null;
  return `${age}, promised within ${span(feed.fresh_within)}`
    + `${kept === null ? '' : `, kept for ${percent(kept)} of what ${reader} read`}`;
}

function list(status) {
  if (status.feeds.length === 0) {
    return el('p', {}, 'The key may read no feed.');
  }
  return table('Feeds that the key may read',
    ['Feed', 'Newest event', 'Last poll', 'Events per answer', 'Errors'],
    status.feeds.map((feed) => [
      el('a', { href: `#feed/${feed.name}` }, feed.name),
      freshness(feed),
      read(feed.polls),
      batch(feed.polls),
      errors(feed.polls),
    ]));
}

// The list is read again as soon as the liveliest feed has a new event, and
// now and then for all others.
export function feeds(main) {
  const body = el('div');
  let end = () => {};
  let followed = null;
  let timer;
  replace(main, el('h2', {}, 'Feeds'), body);

  async function once(signal) {
    const status = await api('GET', '/status', undefined, signal);
    redraw(body, list(status));
    const [liveliest] = status.feeds.toSorted((a, b) =>
      (b.time ?? '').localeCompare(a.time ?? ''));
    if (liveliest && liveliest.name !== followed) {
      followed = liveliest.name;
      end = follow(`/feeds/${encodeURIComponent(followed)}/events`, '', liveliest.latest, {
        told: () => {},
        events: () => {
          clearTimeout(timer);
          timer = setTimeout(() => once().catch(() => {}), AGAIN);
        },
      });
    }
  }

  return {
    title: 'Feeds',
    seconds: 5,
    once,
    end: () => {
      clearTimeout(timer);
      end();
    },
  };
}

function about(feed, record) {
  const kept = record && [
    record.retention.seconds && span(record.retention.seconds),
    record.retention.count && many(record.retention.count, 'event'),
    record.retention.bytes && `${Math.round(record.retention.bytes / 1048576)} MB`,
  ].filter(Boolean).join(' or ');
  return facts([
    ['Newest event', freshness(feed)],
    ['Last poll', read(feed.polls)],
    ['Events per answer', batch(feed.polls)],
    ['Errors', errors(feed.polls)],
    record && ['Keeps', kept || 'everything'],
    record && ['Events a second', String(Math.round(record.event_rate * 100) / 100)],
  ]);
}

// The attempts at an event, by each endpoint that is sent its feed.
function deliveries(status, feed, cursor) {
  const to = status.endpoints.filter((e) => e.deliveries.some((d) => d.feed === feed));
  return to.length > 0 && ['Its attempts: ', to.map((e) => [el('a', {
    href: `#endpoint/${e.name}/${feed}/${cursor.replace(/.*-/, '')}` }, e.name), ' '])];
}

// One feed: its facts, its checkpoints and its events.  The place is its name,
// which may have the cursor of an event behind it.
export function events(main, place, told, fresh) {
  const [name, cursor] = place.split('/');
  const senders = el('p');
  const body = el('div');
  const points = checkpoints(name, told);
  const shown = browser(name, told, fresh, points.acknowledge, cursor);
  const path = `/feeds/${encodeURIComponent(name)}`;

  async function once(signal) {
    const [status, record] = await Promise.all([
      api('GET', '/status', undefined, signal),
      // served only with eventsync_feeds
      api('GET', path, undefined, signal).catch((error) => {
        if (error.status === 404) {
          return null;
        }
        throw error;
      }),
    ]);
    const feed = status.feeds.find((one) => one.name === name);
    if (!feed) {
      redraw(body, el('p', { class: 'warning' }, 'There is no such feed, or the key may not '
        + 'read it.'));
      return;
    }
    redraw(body, about(feed, record));
    redraw(senders, cursor && deliveries(status, name, cursor));
    await points.once(signal, feed.latest);
  }

  replace(main, el('p', {}, el('a', { href: '#feeds' }, 'All feeds')),
    el('h2', {}, `Feed ${name}`),
    el('section', { 'aria-label': 'State' }, body),
    el('section', { 'aria-label': 'Checkpoints' }, el('h3', {}, 'Checkpoints'), points.nodes),
    el('section', { 'aria-label': 'Events' }, el('h3', {}, 'Events'), senders, shown.nodes));
  shown.begin();
  return { title: name, seconds: 10, once, end: shown.end };
}
