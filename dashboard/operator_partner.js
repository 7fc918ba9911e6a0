// SPDX-License-Identifier: BSD-2-Clause

// One partner: what is wrong, and its endpoints and feeds as it sees them.

import { api, now } from './api.js';
import { el, redraw, replace, table } from './dom.js';
import { freshness } from './feeds.js';
import { many, percent, span, when } from './format.js';
import { troubles } from './operator_runbooks.js';
import { backlog, badge, loss } from './overview.js';
import { next } from './waiting.js';

const LISTED = 200;
const NAMED = 10;
const LATE = 60;
const KEPT = 0.99;                     // of a promise, as in docs/alerts.yml

const HALTED = ['disabled', 'stopped', 'paused'];

const STATES = {
  stopped: ['EventsyncEndpointStopped', (e) => `is stopped: ${e.stopped ?? 'no reason'}.`],
  failing: ['EventsyncEndpointFailing', () => 'is failing.'],
  stalled: ['EventsyncEndpointStalled', () => 'is stalled: an event makes no progress.'],
  unverified: ['EventsyncEndpointUnverified', () => 'has not agreed to be sent events.'],
};

function ofEndpoints(status) {
  return Object.entries(STATES).flatMap(([state, [alert, words]]) => status.endpoints
    .filter((e) => e.state === state).slice(0, NAMED)
    .map((e) => ({ alert, text: `${e.name} ${words(e)}`, names: { endpoint: e.name } })));
}

function broken(status) {
  return status.endpoints.filter((e) => (e.figures?.hour.fresh.share ?? 1) < KEPT)
    .slice(0, NAMED).map((e) => ({ alert: 'EventsyncFeedNotFresh',
      names: { endpoint: e.name },
      text: `${e.name} got ${many(e.figures.hour.fresh.missed, 'event')} of the last hour `
        + 'later than promised.' }));
}

// The endpoint and feed whose first event goes first.
function nearest(status) {
  const all = status.endpoints.flatMap((e) => e.deliveries
    .filter((d) => d.behind > 0).map((d) => ({ endpoint: e.name, feed: d.feed, ...d })));
  all.sort((a, b) => (a.expires ?? '9').localeCompare(b.expires ?? '9')
    || b.seconds - a.seconds);
  return all[0] ?? {};
}

function wrong(status) {
  const { retention, limited, refused, name, dead_letters: dead } = status.overview;
  const late = nearest(status);
  const behind = Math.max(0, ...status.endpoints.filter((e) => !HALTED.includes(e.state))
    .flatMap((e) => e.deliveries.map((d) => d.seconds)));
  return [
    ...ofEndpoints(status),
    retention.missed > 0 && { alert: 'EventsyncEventsLost', names: late,
      text: `Retention has deleted ${many(retention.missed, 'event')} before they were `
        + 'delivered.' },
    retention.near && { alert: 'EventsyncRetentionNear', names: late,
      text: retention.expires ? `Retention deletes the next event ${when(retention.expires,
        now())}.` : 'Retention will soon delete the next event.' },
    behind >= LATE && { alert: 'EventsyncBacklogGrowing', names: late,
      text: `An endpoint is ${span(behind)} behind.` },
    ...broken(status),
    limited.length > 0 && { alert: 'EventsyncPartnerLimited', names: { partner: name },
      text: `Requests are refused or slowed by the limit ${limited.join(', ')}: `
        + `${many(refused, 'time')} so far.` },
    dead > 0 && { alert: 'EventsyncDeadLetters', names: { endpoint: status.endpoints
      .find((e) => e.dead_letters > 0)?.name },
    text: `${many(dead, 'dead letter is', 'dead letters are')} kept.` },
  ].filter(Boolean);
}

function endpoints({ endpoints: list }) {
  if (list.length === 0) {
    return el('p', {}, 'The partner has no endpoints.');
  }
  return table(list.length > LISTED ? `The first ${LISTED} of ${list.length} endpoints`
    : many(list.length, 'endpoint'),
  ['Endpoint', 'State', 'Accepted, last hour', 'Behind', 'Next attempt', 'First loss',
    'Dead letters'],
  list.slice(0, LISTED).map((e) => [
    el('span', {}, e.name, el('span', { class: 'origin' }, e.origin)),
    badge(e.state),
    e.figures?.hour.attempts ? `${percent(e.figures.hour.success)} of `
      + `${many(e.figures.hour.attempts, 'attempt')}` : '–',
    backlog(e),
    e.next === undefined ? '–' : next(e),
    loss(e),
    e.dead_letters === 100 ? '100 or more' : String(e.dead_letters),
  ]));
}

function reader(polls) {
  return polls === null || polls.behind === null ? '–' : polls.behind === 0 ? 'up to date'
    : many(polls.behind, 'event');
}

function feeds({ feeds: list, overview: { polls } }) {
  if (list.length === 0) {
    return el('p', {}, 'The partner may read no feed.');
  }
  return [
    el('p', {}, polls.last ? `It polled ${when(polls.last, now())}: `
      + `${many(polls.requests, 'request')}, ${many(polls.events, 'event')}.`
      : 'It has not polled yet.'),
    table(list.length > LISTED ? `The first ${LISTED} of ${list.length} feeds`
      : many(list.length, 'feed'),
    ['Feed', 'Latest cursor', 'Newest event', 'Polled', 'Polls behind'],
    list.slice(0, LISTED).map((feed) => [
      feed.name, feed.latest, freshness(feed, 'it'),
      feed.polls ? when(feed.polls.last, now()) : 'not yet', reader(feed.polls),
    ])),
  ];
}

export function partner(main, name) {
  const body = el('div');
  replace(main, el('p', {}, el('a', { href: '#partners' }, 'All partners')),
    el('h2', {}, name), body);
  return {
    title: name,
    seconds: 5,
    once: async (signal) => {
      const status = await api('GET', `/partners/${encodeURIComponent(name)}/status`,
        undefined, signal);
      redraw(body,
        status.overview.disabled && el('p', { class: 'warning' }, 'The partner is '
          + 'disabled: its keys are refused, and nothing is sent to it.'),
        troubles(wrong(status), 'Nothing is wrong with this partner.'),
        el('h3', {}, 'Endpoints'), endpoints(status),
        el('h3', {}, 'Feeds'), feeds(status));
    },
  };
}
