// SPDX-License-Identifier: BSD-2-Clause

// The dead letters of an endpoint, and what became of those that were sent
// again from this page.

import { now } from './api.js';
import { button, el, redraw, table } from './dom.js';
import { clock, excerpt, many, outcome, times, when } from './format.js';
import { title } from './names.js';
import { next } from './waiting.js';

const FOLLOWED = 20;             // of those that were sent again, the newest

function event(letter, known) {
  const { feed, sequence, cursor } = letter;
  return el('span', {}, el('a', { href: `#feed/${feed}/${cursor}` }, `${feed} ${sequence}`),
    el('span', { class: 'origin' }, title(known.of(feed, cursor)) || cursor));
}

function same(one, other) {
  return one.feed === other.feed && one.sequence === other.sequence;
}

// What the receiver answered, and how often it was tried.
function why(letter, attempts) {
  const last = attempts.find((a) => same(a, letter) && a.time <= letter.time
    && a.class === letter.class);
  const given = letter.class === 'skipped' ? '' : letter.reason
    && letter.reason !== 'the schedule has ended' ? `, then given up: ${letter.reason}`
    : ', then given up';
  return [el('span', { class: 'bad' }, last?.body ? `${last.status}: ${excerpt(last.body)}`
    : outcome(letter)),
  el('span', { class: 'hint' }, `${letter.attempts > 0 ? `tried ${times(letter.attempts)}`
    : 'not tried'}${given}`)];
}

// When retention by age deletes the event, after which it cannot be sent again.
function deadline(letter, known, kept) {
  const found = known.of(letter.feed, letter.cursor);
  const seconds = kept.get(letter.feed);
  if (found === null) {
    return el('span', { class: 'bad' }, 'deleted');
  }
  return found && seconds ? when(Date.parse(found.time) + seconds * 1000, now())
    : seconds === null ? 'not by age' : '–';
}

export function letters(list, { name, attempts, known, kept, send }) {
  if (list.length === 0) {
    return el('p', {}, 'No event was given up.');
  }
  return table(many(list.length, 'dead letter'),
    ['Event', 'Given up', 'Why', 'Event is deleted', 'Action'],
    list.map((d) => [
      event(d, known),
      el('span', { class: 'still' }, clock(d.time)),
      why(d, attempts),
      deadline(d, known, kept),
      [el('a', { href: `#endpoint/${name}/${d.feed}/${d.sequence}` }, 'Its attempts'), ' ',
        button('Send again', () => send(d), { 'aria-label': `Send again: ${d.cursor}` })],
    ]));
}

// What has become of a dead letter since it was sent again.
function since(letter, { status, attempts, dead }) {
  const attempt = attempts.find((a) => same(a, letter) && a.time > letter.time);
  if (!attempt) {
    return `waits. The next attempt: ${next(status, true)}`;
  }
  if (attempt.class === 'ok') {
    return el('span', { class: 'good' }, `accepted at ${clock(attempt.time)}`);
  }
  return el('span', { class: 'bad' }, `${outcome(attempt)} at ${clock(attempt.time)}`,
    attempt.body && `: ${excerpt(attempt.body)}`,
    dead.some((d) => same(d, letter) && d.time > letter.time)
      ? '. It was given up again.' : '. It is tried again.');
}

// What was sent again, by endpoint.  Another view does not end it.
const sent = new Map();

export function forget() {
  sent.clear();
}

// The rows of what was sent again to an endpoint.  They follow the attempts until
// the page is closed, or its user signs out.
export function resent(name) {
  const body = el('div', { 'aria-live': 'polite' });

  return {
    body,
    add(letter) {
      sent.set(name, [{ letter, at: now() }, ...(sent.get(name) ?? [])
        .filter(({ letter: l }) => !same(l, letter))].slice(0, FOLLOWED));
    },
    draw(seen, known) {
      const list = sent.get(name) ?? [];
      redraw(body, list.length > 0 && table('Sent again from this page',
        ['Event', 'Sent again', 'Since then'],
        list.map(({ letter, at }) => [event(letter, known),
          el('span', { class: 'still' }, `at ${clock(at)}`), since(letter, seen)])));
    },
  };
}
