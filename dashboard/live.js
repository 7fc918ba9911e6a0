// SPDX-License-Identifier: BSD-2-Clause

// New events of one feed as they are published, by long polls.  EventSource
// cannot send a credential, so it is of no use here.
//
// A page has one at most, because a browser opens no more than six connections
// to a server.  It holds none while the page is hidden, and goes on from its
// last cursor afterwards.

import { api } from './api.js';

const WAIT = 25;                 // seconds for which the server may wait
const LIMIT = 50;
const PACE = 1000;               // ms between answers with events, at least
const SLOW = 5000;               // the same where the server does not wait
const LONGEST = 60;              // seconds after failures

let current = null;

function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

// Resolves when the page is visible, or is left.
function visible(signal) {
  if (document.visibilityState === 'visible') {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const shown = () => {
      if (document.visibilityState === 'visible' || signal.aborted) {
        document.removeEventListener('visibilitychange', shown);
        resolve();
      }
    };
    document.addEventListener('visibilitychange', shown);
    signal.addEventListener('abort', shown, { once: true });
  });
}

// One request, which ends when the page is hidden.  Null: it was hidden.
async function ask(target, signal) {
  const asking = new AbortController();
  const end = () => asking.abort();
  const hidden = () => {
    if (document.visibilityState !== 'visible') {
      asking.abort();
    }
  };
  document.addEventListener('visibilitychange', hidden);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await api('GET', target, undefined, asking.signal);
  } catch (error) {
    if (asking.signal.aborted) {
      return null;
    }
    throw error;
  } finally {
    document.removeEventListener('visibilitychange', hidden);
    signal.removeEventListener('abort', end);
  }
}

// How a request goes on after an error: from where, and after how many seconds.
function mend(error, state) {
  const { problem, status } = error;
  if (status === 400 && problem.parameter === 'wait' && problem.maximum < state.wait) {
    return { ...state, wait: problem.maximum, pause: 0 };
  }
  if (status === 429 && problem['violated-policies']?.includes('waits')) {
    // the partner's own readers need the places of those that wait
    return { ...state, wait: 0, pause: Math.max(error.retry ?? 0, 1) };
  }
  if (status === 410 && problem.latest) {
    return { ...state, cursor: problem.latest, pause: 0, lost: true };
  }
  const failures = state.failures + 1;
  return { ...state, failures,
    pause: Math.max(error.retry ?? 0, Math.min(2 ** failures, LONGEST)) };
}

async function run(path, query, cursor, on, signal) {
  let state = { cursor, wait: WAIT, failures: 0, pause: 0, lost: false };

  while (!signal.aborted) {
    await visible(signal);
    const asked = new URLSearchParams(query);
    asked.set('after', state.cursor);
    asked.set('limit', LIMIT);
    asked.set('wait', state.wait);
    let pause;
    try {
      const page = signal.aborted ? null : await ask(`${path}?${asked}`, signal);
      if (page !== null && !signal.aborted) {
        on.told(null);
        if (state.lost || page.events.length > 0) {
          on.events(page.events, state.lost);
        }
        state = { ...state, cursor: page.next, failures: 0, lost: false };
        pause = state.wait === 0 ? SLOW : page.events.length > 0 ? PACE : 0;
      }
    } catch (error) {
      state = mend(error, state);
      pause = state.pause * 1000;
      if (pause > 0) {
        on.told(error, state.pause);
      }
    }
    if (pause > 0) {
      await sleep(pause, signal);
    }
  }
}

// Follows a feed from a cursor.  `on.events` receives the new events, and
// whether some before them were deleted unseen; `on.told` a Problem and when it
// is tried again, or null after a success.  Returns a function that ends it; so
// does the next call.
export function follow(path, query, cursor, on) {
  const ending = new AbortController();
  current?.abort();
  current = ending;
  run(path, query, cursor, on, ending.signal);
  return () => ending.abort();
}
