// SPDX-License-Identifier: BSD-2-Clause

// The attempts of an endpoint, with what is recorded of each.

import { api } from './api.js';
import { copied } from './copy.js';
import { button, el, replace, table } from './dom.js';
import { before } from './events.js';
import { clock, excerpt, many, milliseconds, outcome } from './format.js';
import { title } from './names.js';

// The cursor of an attempt's event, if its feed was not reset since.
export function cursorOf(attempt, cursors) {
  return cursors.get(attempt.feed)?.replace(/-.*/, `-${attempt.sequence}`);
}

// The event of an attempt, as the feed has it now.  A feed that was reset since
// may have another one under the number.
async function eventOf(attempt, cursors) {
  const cursor = cursorOf(attempt, cursors);
  const after = cursor && before(cursor, 1);
  const page = after && await api('GET', `/feeds/${encodeURIComponent(attempt.feed)}/events?`
    + new URLSearchParams({ after, limit: 1 }));
  const event = page && page.events[0];
  return event && Number(event.sequence) === attempt.sequence
    && Date.parse(event.time) <= Date.parse(attempt.time) ? event : null;
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

// What was sent: an event, which can be looked at where the feed still has it.
function sent(a, { cursors, known }) {
  if (!a.feed || !a.sequence) {
    return a.feed ?? a.kind ?? 'test';
  }
  const cursor = cursorOf(a, cursors);
  const name = `${a.feed} ${a.sequence}`;
  return [cursor ? el('a', { href: `#feed/${a.feed}/${cursor}` }, name) : name,
    el('span', { class: 'origin' }, cursor && title(known.of(a.feed, cursor)))];
}

// `context` has the endpoint's url, the beginnings of its feeds' epochs, and the
// names of events.  `total`: how many could be shown.
export function attempts(list, context, total) {
  if (list.length === 0) {
    return el('p', {}, 'No request was sent yet.');
  }
  return table(`${many(total, 'attempt')}, the newest first${
    list.length < total ? `; ${list.length} are shown` : ''}`,
    ['Time', 'Sent', 'Attempt', 'Outcome', 'Took', 'Request and answer'],
    list.map((a) => [
      el('span', { class: 'still' }, clock(a.time)),
      sent(a, context),
      String(a.attempt),
      [el('span', { class: a.class === 'ok' ? 'good' : 'bad' }, outcome(a),
        a.class !== 'ok' && a.body && `: ${excerpt(a.body)}`),
        a.hint && el('span', { class: 'hint' }, a.hint)],
      el('span', { class: 'still' }, milliseconds(a.latency_us / 1000)),
      details(a, context.url, context.cursors),
    ]));
}
