// SPDX-License-Identifier: BSD-2-Clause

// One endpoint: how it is, why, its attempts and dead letters, and what its
// partner can do.

import { actions } from './actions.js';
import { api, now } from './api.js';
import { bars } from './chart.js';
import { copied } from './copy.js';
import { button, el, facts, redraw, replace, table } from './dom.js';
import { before } from './events.js';
import { clock, explain, many, milliseconds, outcome, percent, span, when }
  from './format.js';
import { badge, backlog, loss } from './overview.js';

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
    `${many(figures.tries[0], 'first attempt')}, ${many(figures.attempts - figures.tries[0],
      'retry', 'retries')}.`,
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

// The event of an attempt, as the feed has it now.  A feed that was reset since
// may have another one under the number.
async function eventOf(attempt, cursors) {
  const cursor = cursors.get(attempt.feed);
  const after = cursor && before(cursor.replace(/-.*/, `-${attempt.sequence}`), 1);
  const page = after && await api('GET', `/feeds/${encodeURIComponent(attempt.feed)}/events?`
    + new URLSearchParams({ after, limit: 1 }));
  const event = page && page.events[0];
  return event && Number(event.sequence) === attempt.sequence
    && Date.parse(event.time) <= Date.parse(attempt.time) ? event : null;
}

// The beginning of each feed's epoch, which changes less often than cursors do.
function epochs(cursors) {
  return cursors.map(([feed, cursor]) => [feed, cursor.replace(/-.*/, '-0')]);
}

// What is recorded of the request and of its answer.  The body as it was sent
// is not recorded; the event is read again.
function details(a, url, cursors) {
  const place = el('div');
  const show = a.kind === 'event' && a.feed && button('Show the event', async () => {
    try {
      const event = await eventOf(a, cursors);
      const text = event && JSON.stringify(event, null, 2);
      replace(place, event
        ? [el('pre', { tabindex: 0 }, text), copied(text, 'Copy the event')]
        : el('p', {}, 'The feed no longer keeps this event.'));
    } catch (error) {
      replace(place, el('p', { class: 'bad' }, error.message));
    }
  });
  return el('details', { class: 'more', 'data-key': `${a.time} ${a.attempt} ${a.sequence
    ?? a.request}` },
  el('summary', {}, 'Details'),
  el('dl', {},
    el('dt', {}, 'Request'),
    el('dd', {}, a.kind === 'token' ? 'for an access token' : `POST ${url}`, ', over ',
      a.reused ? 'a connection that was open' : 'a new connection'),
    el('dt', {}, 'webhook-timestamp'),
    el('dd', {}, String(Math.floor(Date.parse(a.time) / 1000))),
    a.simulated && [el('dt', {}, 'Simulated'), el('dd', {}, 'this failure was asked for')],
    el('dt', {}, 'Answer'),
    el('dd', {}, a.status ? `status ${a.status}` : `none: ${outcome(a)}`,
      `, after ${milliseconds(a.latency_us / 1000)}`),
    a.location && [el('dt', {}, 'Location'), el('dd', {}, el('code', {}, a.location))],
    a.body && [el('dt', {}, 'Start of the body'),
      el('dd', {}, el('code', { class: 'answer' }, a.body))]),
  show && el('p', { class: 'buttons' }, show), place);
}

function attempts(list, url, cursors) {
  if (list.length === 0) {
    return el('p', {}, 'No request was sent yet.');
  }
  return table(`${many(list.length, 'attempt')}, the newest first`,
    ['Time', 'Sent', 'Attempt', 'Outcome', 'Took', 'Request and answer'],
    list.map((a) => [
      clock(a.time),
      a.feed ? `${a.feed} ${a.sequence ?? ''}` : a.kind ?? 'test',
      String(a.attempt),
      [el('span', { class: a.class === 'ok' ? 'good' : 'bad' }, outcome(a)),
        a.hint && el('span', { class: 'hint' }, a.hint)],
      milliseconds(a.latency_us / 1000),
      details(a, url, cursors),
    ]));
}

function letters(list, act) {
  if (list.length === 0) {
    return el('p', {}, 'No event was given up.');
  }
  return table(many(list.length, 'dead letter'),
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

// A list of the server, a page at a time: only the first page is read again by
// itself, and only what has changed is drawn again.
function pages(path, member, draw, told) {
  const body = el('div');
  const turn = el('p', { class: 'buttons' });
  let after = null;
  let drawn = null;

  async function once(signal, context) {
    const answer = await api('GET', `${path}?limit=${LISTED}${after === null ? ''
      : `&after=${encodeURIComponent(after)}`}`, undefined, signal);
    const text = JSON.stringify([answer, context]);
    if (text === drawn) {
      return answer[member];
    }
    drawn = text;
    redraw(body, draw(answer[member], context));
    const go = (to) => async () => {
      after = to;
      try {
        await once(undefined, context);
      } catch (error) {
        told(null, error);
      }
    };
    redraw(turn, after !== null && button('Back to the first', go(null)),
      answer.next && button('Show the next', go(answer.next)));
    return answer[member];
  }

  return { nodes: [body, turn], once, first: () => after === null || drawn === null };
}

// Why the newest of these attempts that failed did so.
function lastFailure(list) {
  const failed = list.find((a) => a.class !== 'ok');
  return failed && el('p', {}, `The last failure was ${when(failed.time, now())}: `,
    el('span', { class: 'bad' }, outcome(failed)), '. ', failed.hint);
}

function summary(status) {
  const deliveries = status.deliveries.filter((d) => d.kind === 'progress');
  const one = { deliveries };
  const { hour } = status.figures ?? {};
  const promised = hour?.fresh?.share ?? null;
  return facts([
    hour && ['Accepted, last hour', `${percent(hour.success)}${hour.attempts
      ? ` of ${many(hour.attempts, 'attempt')}` : ''}`],
    hour && ['Latency, last hour', milliseconds(hour.latency?.mean ?? hour.mean)],
    promised !== null && ['Within the promise, last hour', percent(promised)],
    ['Behind', backlog(one)],
    status.next !== undefined && ['Next attempt', status.next
      ? when(status.next, now()) : 'nothing waits'],
    ['First loss by retention', loss(one)],
  ]);
}

// What a key sees that may only read.
async function readOnly(name, signal, error) {
  const status = await api('GET', '/status', undefined, signal);
  const one = status.endpoints.find((e) => e.name === name);
  if (!one) {
    throw error;
  }
  return [
    el('p', {}, badge(one.state), ' ', explain(one.state),
      one.stopped ? ` Reason: ${one.stopped}.` : ''),
    summary({ ...one, deliveries: one.deliveries.map((d) => ({ ...d, kind: 'progress' })) }),
    el('p', { class: 'warning' }, 'This key or link may only read: it lacks the scope '
      + '"manage", which attempts, dead letters and actions need. Ask the provider for it.'),
  ];
}

export function endpoint(main, name, told) {
  const path = `/endpoints/${encodeURIComponent(name)}`;
  const now_ = el('div');
  const figures = el('div');
  const what = el('p', { class: 'origin' });
  const managed = el('div');
  const failure = el('div');
  const pausing = button('Pause', () => act('POST', '/pause', undefined,
    'The endpoint is paused.'));
  const resuming = button('Resume', () => act('POST', '/resume', undefined,
    'The endpoint is resumed.'));
  const sent = pages(`${path}/attempts`, 'attempts',
    (list, { url, cursors }) => attempts(list, url, new Map(cursors)), told);
  const dead = pages(`${path}/dead-letters`, 'dead_letters',
    (list) => letters(list, act), told);

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
    let record;
    try {
      record = await api('GET', path, undefined, signal);
    } catch (error) {
      if (error.status !== 403) {
        throw error;
      }
      managed.hidden = true;
      redraw(now_, await readOnly(name, signal, error));
      return;
    }
    managed.hidden = false;
    const status = await api('GET', `${path}/status`, undefined, signal);
    redraw(what, `${record.url}, feeds ${record.feeds.join(', ')}`
      + `${record.types ? `, types ${record.types.join(', ')}` : ''}`);
    redraw(now_, state(status), summary(status));
    redraw(figures, charts(status.figures));
    resuming.hidden = !['paused', 'stopped', 'disabled'].includes(status.state);
    pausing.hidden = status.state === 'paused';
    const cursors = status.deliveries.filter((d) => d.cursor).map((d) => [d.feed, d.cursor]);
    await Promise.all([
      sent.first() && sent.once(signal, { url: record.url, cursors: epochs(cursors) })
        .then((list) => redraw(failure, lastFailure(list))),
      dead.first() && dead.once(signal),
    ]);
  }

  replace(managed,
    el('section', { 'aria-label': 'Actions' }, el('h3', {}, 'Actions'),
      actions(act, pausing, resuming)),
    el('section', { 'aria-label': 'Dead letters' }, el('h3', {}, 'Dead letters'), dead.nodes),
    el('section', { 'aria-label': 'Figures' }, el('h3', {}, 'Figures'), figures),
    el('section', { 'aria-label': 'Attempts' }, el('h3', {}, 'Attempts'), sent.nodes));
  replace(main,
    el('p', {}, el('a', { href: '#endpoints' }, 'All endpoints')),
    el('h2', {}, name), what,
    el('section', { 'aria-label': 'State' }, now_, failure), managed);

  return { title: name, seconds: 5, once };
}
