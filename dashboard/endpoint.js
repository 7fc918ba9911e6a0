// SPDX-License-Identifier: BSD-2-Clause

// One endpoint: how it is, why, its attempts and dead letters, and what its
// partner can do.

import { actions } from './actions.js';
import { api, now } from './api.js';
import { bars } from './chart.js';
import { button, el, replace, table } from './dom.js';
import { clock, explain, many, milliseconds, outcome, percent, span, when }
  from './format.js';
import { badge } from './overview.js';

const LISTED = 50;

const REASONS = {
  event: 'an event is not accepted, and the order keeps the later ones behind it',
  subject: 'an event of a subject is not accepted, and its later events wait',
  full: 'as many events wait as are allowed',
  unreadable: 'an event cannot be read; the provider must look into it',
  nudge: 'the receiver does not accept the request to poll',
  secret: 'the signing secret cannot be used; the provider must look into it',
  throttled: 'the receiver asked for a long pause',
};

function item(delivery) {
  const feed = delivery.feed ? `Feed ${delivery.feed}: ` : '';
  switch (delivery.kind) {
  case 'progress':
    return `${feed}${delivery.behind === 0 ? 'up to date'
      : `${many(delivery.behind, 'event')} behind`}, ${many(delivery.pending,
      'event')} under way, at ${delivery.cursor}.`;
  case 'away':
    return `${feed}no longer sent; its place is kept until `
      + `${clock(delivery.kept_until)}.`;
  case 'stalled':
    return `${feed}no progress since ${clock(delivery.since)}: `
      + `${REASONS[delivery.reason] ?? delivery.reason}`
      + `${delivery.id ? ` (event ${delivery.id} of type ${delivery.type})` : ''}`
      + `${delivery.next ? `. The next attempt is ${when(delivery.next, now())}` : ''}`
      + `${delivery.dead_at ? `, the last one ${when(delivery.dead_at, now())}` : ''}.`;
  case 'waiting':
    return `${feed}${many(delivery.retries, 'event')} wait for another attempt, `
      + `${delivery.held} behind them.`;
  case 'circuit':
    return 'After many failures the receiver is asked with one request at a time.';
  case 'redrive':
    return 'Dead letters are being sent again.';
  case 'verification':
    return delivery.verified ? 'The receiver has agreed to be sent events.'
      : `The receiver has not agreed to be sent events: ${delivery.reason
        ?? 'it was not asked yet'}.`;
  default:
    return null;
  }
}

function state(status) {
  return [
    el('p', {}, badge(status.state), ' ', explain(status.state),
      status.stopped ? ` Reason: ${status.stopped}.` : ''),
    el('ul', {}, status.deliveries.map(item).filter(Boolean)
      .map((text) => el('li', {}, text))),
  ];
}

// The server leaves out parts of the time without attempts; here each has its
// place.
function byTime(name, figures) {
  const [width, n, long] = { hour: [300000, 12, 'five minutes'],
    day: [3600000, 24, 'an hour'] }[name];
  const last = Math.floor(now() / width) * width;
  const cells = new Map(figures.cells.map((cell) => [Date.parse(cell.start), cell]));
  return bars(`Attempts, last ${name}`,
    `${many(figures.attempts, 'attempt')}, ${percent(figures.success)} accepted, `
    + `${many(figures.dead, 'dead letter')}. A bar is ${long}.`,
    Array.from({ length: n }, (_, i) => {
      const start = last - (n - 1 - i) * width;
      const { attempts, ok } = cells.get(start) ?? { attempts: 0, ok: 0 };
      const time = new Date(start).toLocaleTimeString([], { timeStyle: 'short' });
      return {
        label: i % (n / 4) === Math.floor(n / 8) ? time : null,
        title: `${time}: ${ok} accepted, ${attempts - ok} not`,
        parts: [['ok', ok], ['bad', attempts - ok]],
      };
    }));
}

function latency(figures) {
  return bars('Latency, last day',
    figures.attempts ? `The mean is ${milliseconds(figures.latency.mean)}.`
      : 'No attempts yet.',
    figures.latency.histogram.map(([bound, n]) => ({
      label: bound === null ? 'more' : bound < 1000 ? `${bound}` : `${bound / 1000} s`,
      title: `${bound === null ? 'longer' : `up to ${bound} ms`}: ${many(n, 'attempt')}`,
      parts: [['ok', n]],
    })));
}

function tries(figures) {
  const names = ['1st', '2nd', '3rd', '4th', '5th', 'later'];
  return bars('Attempts by number, last day',
    `${figures.tries[0]} first attempts, ${figures.attempts - figures.tries[0]} retries.`,
    figures.tries.map((n, i) => ({
      label: names[i], title: `${names[i]}: ${many(n, 'attempt')}`,
      parts: [[i === 0 ? 'ok' : 'bad', n]],
    })));
}

function charts(figures) {
  if (!figures) {
    return el('p', {}, 'A key that is narrowed to feeds does not get figures.');
  }
  return el('div', { class: 'charts' }, byTime('hour', figures.hour),
    byTime('day', figures.day), latency(figures.day), tries(figures.day));
}

function attempts(list) {
  if (list.length === 0) {
    return el('p', {}, 'No request was sent yet.');
  }
  return table(`The last ${many(list.length, 'attempt')}, the newest first`,
    ['Time', 'Sent', 'Attempt', 'Outcome', 'Took', 'Start of the answer'],
    list.map((a) => [
      clock(a.time),
      a.cursor ? `${a.feed} ${a.cursor}` : a.feed ? `${a.feed} ${a.sequence ?? ''}`
        : a.kind ?? 'test',
      String(a.attempt),
      [el('span', { class: a.class === 'ok' ? 'good' : 'bad' }, outcome(a)),
        a.hint && el('span', { class: 'hint' }, a.hint)],
      milliseconds(a.latency_us / 1000),
      a.body || a.location
        ? el('code', { class: 'answer' }, a.body || a.location) : '–',
    ]));
}

function letters(list, act) {
  if (list.length === 0) {
    return el('p', {}, 'No event was given up.');
  }
  return table(`The first ${many(list.length, 'dead letter')}`,
    ['Event', 'Given up', 'Attempts', 'Last outcome', 'Action'],
    list.map((d) => [
      `${d.feed} ${d.cursor}`,
      clock(d.time),
      String(d.attempts),
      `${outcome(d)}${d.reason ? ` (${d.reason})` : ''}`,
      button('Send again', () => act('POST', '/resend', { feed: d.feed, cursor: d.cursor },
        'The event is sent again.'), { 'aria-label': `Send again: ${d.cursor}` }),
    ]));
}

export function endpoint(main, name, told) {
  const path = `/endpoints/${encodeURIComponent(name)}`;
  const now_ = el('div');
  const figures = el('div');
  const sent = el('div');
  const dead = el('div');
  const what = el('p', { class: 'origin' });

  // Does it, says so, and shows the outcome at once.
  async function act(method, suffix, body, done) {
    try {
      const answer = await api(method, path + suffix, body);
      told(done, null);
      await once();
      return answer;
    } catch (error) {
      told(null, error);
      return null;
    }
  }

  async function once(signal) {
    const [record, status, recent, given] = await Promise.all([
      api('GET', path, undefined, signal),
      api('GET', `${path}/status`, undefined, signal),
      api('GET', `${path}/attempts?limit=${LISTED}`, undefined, signal),
      api('GET', `${path}/dead-letters?limit=${LISTED}`, undefined, signal),
    ]);
    replace(what, `${record.url}, feeds ${record.feeds.join(', ')}`
      + `${record.types ? `, types ${record.types.join(', ')}` : ''}`);
    replace(now_, state(status));
    replace(figures, charts(status.figures));
    replace(sent, attempts(recent.attempts));
    replace(dead, letters(given.dead_letters, act));
  }

  replace(main,
    el('p', {}, el('a', { href: '#endpoints' }, 'All endpoints')),
    el('h2', {}, name), what,
    el('section', { 'aria-label': 'State' }, now_),
    el('section', { 'aria-label': 'Actions' }, el('h3', {}, 'Actions'),
      actions(act, told)),
    el('section', { 'aria-label': 'Figures' }, el('h3', {}, 'Figures'), figures),
    el('section', { 'aria-label': 'Attempts' }, el('h3', {}, 'Attempts'), sent),
    el('section', { 'aria-label': 'Dead letters' }, el('h3', {}, 'Dead letters'), dead));

  return { title: name, seconds: 5, once };
}
