// SPDX-License-Identifier: BSD-2-Clause

// When something is sent next, in words that agree with the rest of the page.

import { now } from './api.js';
import { many, when } from './format.js';

const HALTED = ['paused', 'stopped', 'disabled'];
const LATE = 10000;              // ms; the server writes its figures every five seconds

// How many events wait for another attempt, or behind one.
function waiting({ waiting: direct, held, deliveries = [] }) {
  return deliveries.filter((d) => d.kind === 'waiting')
    .reduce((sum, d) => sum + d.retries + d.held, (direct ?? 0) + (held ?? 0));
}

// The time of the next attempt.  `status` is one of an endpoint, or of an
// endpoint in the list of all.  `asked`: something waits that it does not show
// yet.
export function next(status, asked = false) {
  const list = status.deliveries ?? [];
  const circuit = list.find((d) => d.kind === 'circuit');
  const known = [status.next, ...list.filter((d) => d.kind === 'retry').map((d) => d.next)]
    .filter(Boolean).sort()[0];
  if (HALTED.includes(status.state)) {
    // what was not sent yet counts, too: it goes out then
    return known || asked || waiting(status) > 0 || list.some((d) => d.behind > 0)
      ? 'when it is resumed' : 'nothing waits';
  }
  if (!known && !asked && waiting(status) === 0) {
    return 'nothing waits';
  }
  // while the circuit is open, its probe is the next attempt
  const time = circuit && (!known || circuit.next > known) ? circuit.next : known;
  const single = circuit ? '; one request at a time' : '';
  const late = time ? now() - Date.parse(time) : 0;
  return late < 0 ? `${when(time, now())}${single}`
    : late < LATE ? `now${single}` : `overdue${single}`;
}

// What waits for an attempt on a feed.
export function waits(delivery) {
  const { retries, held } = delivery;
  return [
    retries > 0 && `${many(retries, 'event waits', 'events wait')} for another attempt`,
    held > 0 && `${many(held, 'later event waits', 'later events wait')} until these are `
      + 'accepted or given up',
  ].filter(Boolean).join(', and ');
}
