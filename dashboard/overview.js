// SPDX-License-Identifier: BSD-2-Clause

// All endpoints of the partner, the ones that need attention first.

import { api, base, now } from './api.js';
import { button, el, field, redraw, replace, table } from './dom.js';
import { explain, many, milliseconds, percent, span, when } from './format.js';
import { next } from './waiting.js';

const ORDER = ['stopped', 'failing', 'stalled', 'unverified', 'disabled', 'paused',
  'active'];

export function badge(state) {
  return el('span', { class: `badge ${state}`, title: explain(state) }, state);
}

// How many events an endpoint is behind, over its feeds, and since when.
export function backlog(endpoint) {
  const behind = endpoint.deliveries.reduce((sum, d) => sum + d.behind + d.pending, 0);
  const seconds = Math.max(0, ...endpoint.deliveries.map((d) => d.seconds));
  if (behind === 0) {
    return 'up to date';
  }
  return `${many(behind, 'event')}, ${span(seconds)}`;
}

// When retention takes the first event that the endpoint has not got.
export function loss(endpoint) {
  const times = endpoint.deliveries.map((d) => d.expires).filter(Boolean).sort();
  if (times.length === 0 || backlog(endpoint) === 'up to date') {
    return 'nothing';
  }
  return when(times[0], now());
}

function row(endpoint) {
  const hour = endpoint.figures?.hour;
  return [
    el('span', {}, el('a', { href: `#endpoint/${endpoint.name}` }, endpoint.name),
      el('span', { class: 'origin' }, endpoint.origin)),
    badge(endpoint.state),
    hour ? `${percent(hour.success)}${hour.attempts
      ? ` of ${many(hour.attempts, 'attempt')}` : ''}` : '–',
    hour ? milliseconds(hour.mean) : '–',
    backlog(endpoint),
    endpoint.next === undefined ? '–' : next(endpoint),
    loss(endpoint),
    endpoint.dead_letters === 100 ? '100 or more' : String(endpoint.dead_letters),
  ];
}

function summary(status) {
  const bad = status.endpoints.filter((e) => !['active', 'paused'].includes(e.state));
  const dead = status.endpoints.filter((e) => e.dead_letters > 0);
  const given = dead.reduce((sum, e) => sum + e.dead_letters, 0);
  const most = dead.some((e) => e.dead_letters === 100);
  const seen = status.dispatcher === null ? Infinity
    : (Date.parse(status.time) - Date.parse(status.dispatcher)) / 1000;
  return [
    seen > 10 && el('p', { class: 'warning' }, seen === Infinity
      ? 'The provider has not sent any webhook yet.'
      : `The provider sends no webhooks: its dispatcher was last seen ${span(seen)} `
        + 'ago. Polling works, and nothing is lost.'),
    given > 0 && el('p', { class: 'warning' }, `${most ? 'At least ' : ''}`
      + `${many(given, 'event was', 'events were')} given up at `
      + `${many(dead.length, 'endpoint')}. They are dead letters, which can be sent again `
      + 'there.'),
    bad.length > 0
      ? el('p', { class: 'warning' }, `${many(bad.length, 'endpoint needs',
        'endpoints need')} attention.`)
      : status.endpoints.length > 0 && el('p', { class: 'good' },
        'No endpoint is stopped, failing or stalled.'),
  ];
}

const PAGE = 100;                // rows at first, and more of them at a time

function matches(endpoint, words) {
  const text = `${endpoint.name} ${endpoint.origin} ${endpoint.state} `
    + endpoint.feeds.join(' ');
  return words.every((word) => text.toLowerCase().includes(word));
}

export function overview(main) {
  const body = el('div');
  const find = field('Find by name, host, state or feed', 'find', 'search', {
    oninput: () => {
      shown = PAGE;
      draw(last);
    } });
  let shown = PAGE;
  let last = null;
  find.hidden = true;
  replace(main, el('h2', {}, 'Endpoints'), find, body);

  function draw(status) {
    last = status;
    if (status.endpoints.length === 0) {
      replace(body, el('p', {}, 'There are no endpoints. Webhooks go to an endpoint; '
        + 'create one with ', el('code', {}, `POST ${new URL(base()).pathname}/endpoints`),
      ', or poll the ', el('a', { href: '#feeds' }, 'feeds'), '.'));
      return;
    }
    find.hidden = status.endpoints.length < 10;
    const words = find.querySelector('input').value.toLowerCase().split(/\s+/);
    const list = status.endpoints.filter((one) => matches(one, words)).sort((a, b) =>
      ORDER.indexOf(a.state) - ORDER.indexOf(b.state)
        || (b.dead_letters > 0) - (a.dead_letters > 0)
        || (a.name < b.name ? -1 : 1));
    redraw(body, summary(status), list.length === 0
      ? el('p', {}, 'No endpoint is like that.')
      : table(`${many(list.length, 'endpoint')}, those that need attention first`,
        ['Endpoint', 'State', 'Accepted, last hour', 'Latency', 'Behind', 'Next attempt',
          'First loss', 'Dead letters'],
        list.slice(0, shown).map(row)),
    list.length > shown && button(`Show ${Math.min(PAGE, list.length - shown)} more`, () => {
      shown += PAGE;
      draw(last);
    }));
  }

  return {
    title: 'Endpoints',
    // a long list costs more, and nobody reads it in five seconds
    get seconds() { return Math.max(5, (last?.endpoints.length ?? 0) / 50); },
    once: async (signal) => draw(await api('GET', '/status', undefined, signal)),
  };
}
