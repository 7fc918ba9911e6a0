// SPDX-License-Identifier: BSD-2-Clause

// All endpoints of the partner, the ones that need attention first.

import { api, now } from './api.js';
import { el, replace, table } from './dom.js';
import { explain, many, milliseconds, percent, span, when } from './format.js';

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
    endpoint.next ? when(endpoint.next, now()) : '–',
    loss(endpoint),
    endpoint.dead_letters === 100 ? '100 or more' : String(endpoint.dead_letters),
  ];
}

function summary(status) {
  const bad = status.endpoints.filter((e) => !['active', 'paused'].includes(e.state));
  const seen = status.dispatcher === null ? Infinity
    : (Date.parse(status.time) - Date.parse(status.dispatcher)) / 1000;
  return [
    seen > 10 && el('p', { class: 'warning' }, seen === Infinity
      ? 'The provider has not sent any webhook yet.'
      : `The provider sends no webhooks: its dispatcher was last seen ${span(seen)} `
        + 'ago. Polling works, and nothing is lost.'),
    bad.length > 0
      ? el('p', { class: 'warning' }, `${many(bad.length, 'endpoint needs',
        'endpoints need')} attention.`)
      : status.endpoints.length > 0 && el('p', { class: 'good' },
        'No endpoint is stopped, failing or stalled.'),
  ];
}

const PAGE = 100;

export function overview(main) {
  const body = el('div');
  let shown = PAGE;
  let last;
  replace(main, el('h2', {}, 'Endpoints'), body);

  function draw(status) {
    last = status;
    const list = status.endpoints.toSorted((a, b) =>
      ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name));
    if (list.length === 0) {
      replace(body, el('p', {}, 'There are no endpoints. Webhooks go to an endpoint; '
        + 'create one with POST ', el('code', {}, 'endpoints'), ', or poll the feeds.'));
      return;
    }
    replace(body, summary(status), table(
      `${many(list.length, 'endpoint')}, those that need attention first`,
      ['Endpoint', 'State', 'Success, last hour', 'Latency', 'Behind', 'Next attempt',
        'First loss', 'Dead letters'],
      list.slice(0, shown).map(row)),
    list.length > shown && el('button', { type: 'button', onclick: () => {
      shown += PAGE;
      draw(last);
    } }, `Show ${Math.min(PAGE, list.length - shown)} more`));
  }

  return {
    title: 'Endpoints',
    seconds: 5,
    once: async (signal) => draw(await api('GET', '/status', undefined, signal)),
  };
}
