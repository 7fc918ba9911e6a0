// SPDX-License-Identifier: BSD-2-Clause

// The store: what is wrong with it, its disk, its environments, its feeds.

import { api, now } from './api.js';
import { el, facts, redraw, replace, table } from './dom.js';
import { bytes, many, percent, span, when } from './format.js';
import { troubles } from './operator_runbooks.js';

// The same bounds as those of docs/alerts.yml.
const DISPATCHER = 10;
const DISK = 0.05;
const FULL = 0.8;
const OVERDUE = 60;

function seconds(store, time) {
  return (Date.parse(store.time) - Date.parse(time)) / 1000;
}

function machine({ clock, disk }) {
  const off = clock?.off ?? 0;
  return [
    off !== 0 && { alert: 'EventsyncClockWrong',
      text: `The clock is ${span(Math.abs(off))} ${off > 0 ? 'ahead of' : 'behind'} the `
        + "store's time." },
    clock?.synchronized === false && { alert: 'EventsyncClockUnsynchronized',
      text: 'Nothing keeps the clock of this machine right.' },
    disk && disk.free < DISK * disk.size && { alert: 'EventsyncDiskNearlyFull',
      text: `The disk is nearly full: ${bytes(disk.free)} of ${bytes(disk.size)} are free.` },
  ];
}

function environments(store) {
  return store.environments.flatMap((e) => [
    e.used > FULL * store.map_limit && { alert: 'EventsyncStoreNearlyFull',
      text: `The environment ${e.name} is nearly full.` },
    e.readers > FULL * e.readers_max && { alert: 'EventsyncReadersNearlyFull',
      text: `The reader table of ${e.name} is nearly full.` },
  ]);
}

// All that is wrong with the store, the worst first.
export function storeTroubles(store) {
  const seen = store.dispatcher && seconds(store, store.dispatcher);
  const late = store.feeds.listed.filter((feed) => feed.overdue_since
    && seconds(store, feed.overdue_since) > OVERDUE);
  return [
    store.dispatcher === null && { alert: 'EventsyncDispatcherDown',
      text: 'No dispatcher has run on this store. Webhooks and retention need one.' },
    seen > DISPATCHER && { alert: 'EventsyncDispatcherDown',
      text: `The dispatcher was last seen ${span(seen)} ago. No webhook is sent.` },
    ...environments(store),
    ...machine(store),
    ...late.slice(0, 5).map((feed) => ({ alert: 'EventsyncRetentionNotApplied',
      text: `Retention of the feed ${feed.name} is not applied.`,
      names: { feed: feed.name } })),
  ].filter(Boolean);
}

function state(store) {
  const { clock, disk, dispatcher } = store;
  return facts([
    ['Dispatcher', dispatcher ? `seen ${when(dispatcher, Date.parse(store.time))}`
      : 'never seen'],
    ['Clock', clock === null ? 'unknown' : clock.off !== 0 ? 'wrong'
      : clock.synchronized === false ? 'right, but nothing keeps it so' : 'right'],
    ['Disk', disk ? `${bytes(disk.free)} free of ${bytes(disk.size)}` : 'unknown'],
    ['Feeds', `${many(store.feeds.total, 'feed')} with `
      + `${many(store.feeds.events, 'event')}, ${bytes(store.feeds.bytes)}`],
  ]);
}

function sizes(store) {
  return table(`Environments, each of at most ${bytes(store.map_limit)}`,
    ['Environment', 'Used', 'Of the limit', 'Map', 'Readers'],
    store.environments.map((e) => [
      e.name, bytes(e.used), percent(e.used / store.map_limit), bytes(e.map),
      `${e.readers} of ${e.readers_max}`,
    ]));
}

function feeds({ total, overdue, listed }) {
  if (total === 0) {
    return el('p', {}, 'There are no feeds. Create one with ',
      el('code', {}, 'eventsyncctl feed create NAME'), '.');
  }
  return table(listed.length < total
    ? `${many(overdue, 'feed')} without retention, then the largest, of ${total}`
    : `${many(total, 'feed')}, the largest first`,
  ['Feed', 'Events', 'Size', 'Latest event', 'Latest cursor', 'Retention'],
  listed.map((feed) => [
    feed.name, String(feed.events), bytes(feed.bytes),
    feed.time ? when(feed.time, now()) : 'none yet', feed.latest,
    feed.overdue_since ? el('span', { class: 'bad' },
      `not applied since ${when(feed.overdue_since, now())}`)
      : feed.held_since ? `held since ${when(feed.held_since, now())}` : '–',
  ]));
}

export function store(main) {
  const body = el('div');
  replace(main, el('h2', {}, 'Store'), body);
  return {
    title: 'Store',
    seconds: 5,
    once: async (signal) => {
      const answer = await api('GET', '/store', undefined, signal);
      redraw(body, troubles(storeTroubles(answer), 'Nothing is wrong with the store.'),
        state(answer), el('h3', {}, 'Environments'), sizes(answer),
        el('h3', {}, 'Feeds'), feeds(answer.feeds));
    },
  };
}
