// SPDX-License-Identifier: BSD-2-Clause

// Requests to the API.  The credential is kept in memory only and goes out in
// the Authorization field only: never in a URL, and never into storage.

let credential = null;
let linked = false;              // it came by a link, so there is no key
let offset = 0;                  // of the server's clock to this one, in ms

export class Problem extends Error {
  constructor(message, status, retry, problem = {}) {
    super(message);
    this.status = status;        // 0: no answer
    this.retry = retry;          // seconds to wait, or null
    this.problem = problem;      // the members of the problem document
  }
}

export function signIn(text) {
  credential = text;
  linked = false;
}

export function signOut() {
  credential = null;
}

export function signedIn() {
  return credential !== null;
}

// The server's time in milliseconds.
export function now() {
  return Date.now() + offset;
}

export function base() {
  return new URL('.', document.baseURI).href.replace(/\/$/, '');
}

// What a link that cannot be opened is told by; the keys are types of problems.
const LINKS = {
  'link-used': 'This link was opened already. It works once: ask for another one.',
  'link-expired': 'This link has expired. Ask for another one.',
  'link-revoked': 'This link was revoked. Ask for another one.',
  unauthorized: 'This link is not known. It may be incomplete, or it was removed: copy '
    + 'the whole link, or ask for another one.',
};

function sentence(status, problem) {
  switch (status) {
  case 401: return linked ? 'This session has ended. Ask for another link.' : 'The server does not accept this key or token. It may have '
    + 'expired or been revoked. Sign in again.';
  case 403: return `Not permitted: ${problem.detail ?? 'the key lacks a scope.'}`;
  case 404: return problem.detail
    ?? 'It is not there. It may have been removed, or the key may not see it.';
  case 429: return 'The limit of requests is reached.';
  case 503: return 'The server cannot answer now.';
  default: return problem.detail ?? problem.title
    ?? `The server answered with the status ${status}.`;
  }
}

// Exchanges the secret of a link for a token, which signs in.
export async function redeem(link) {
  const answer = await api('POST', '/dashboard/session', { link });
  signIn(answer.access_token);
  linked = true;
}

// Resolves to the body's JSON (null: none).  Rejects with a Problem, whose
// message is a sentence.
export async function api(method, path, body, signal) {
  let response;
  try {
    response = await fetch(base() + path, {
      method,
      signal,
      cache: 'no-store',
      credentials: 'omit',
      headers: {
        ...(credential === null ? {} : { Authorization: `Bearer ${credential}` }),
        Accept: 'application/json',
        Prefer: 'figures=none',  // what is shown is what the partner's programs read
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') {
      throw error;
    }
    throw new Problem('The server cannot be reached.', 0, null);
  }

  const date = Date.parse(response.headers.get('Date'));
  if (!Number.isNaN(date)) {
    offset = date - Date.now();
  }

  const text = await response.text();
  let json = null;
  try {
    json = text === '' ? null : JSON.parse(text);
  } catch {
    if (response.ok) {
      throw new Problem('The answer is not JSON. Something between this page and '
        + 'the server changes it.', 0, null);
    }
  }
  if (!response.ok) {
    const wait = Number(response.headers.get('Retry-After'));
    const type = (path === '/dashboard/session' && json?.type?.split(':').pop()) || null;
    throw new Problem(LINKS[type] ?? sentence(response.status, json ?? {}), response.status,
      wait > 0 ? wait : null, json ?? {});
  }
  return json;
}

// Calls `once` now and then every `seconds()` while the page is visible; after a
// failure it waits longer, and never less than the server asks for.  `told`
// receives the Problem, or null after a success.  Returns a function that ends
// it.
export function repeat(seconds, once, told) {
  const ending = new AbortController();
  let timer;
  let failures = 0;

  async function turn() {
    let wait = seconds();
    try {
      if (document.visibilityState === 'visible') {
        await once(ending.signal);
        failures = 0;
        told(null);
        wait = seconds();
      }
    } catch (error) {
      if (ending.signal.aborted) {
        return;
      }
      failures += 1;
      wait = Math.max(error.retry ?? 0,
        Math.min(wait * 2 ** failures, 60));
      told(error, wait);
    }
    if (!ending.signal.aborted) {
      timer = setTimeout(turn, wait * 1000);
    }
  }

  function shown() {
    if (document.visibilityState === 'visible') {
      clearTimeout(timer);
      turn();
    }
  }

  document.addEventListener('visibilitychange', shown, { signal: ending.signal });
  turn();
  return () => {
    ending.abort();
    clearTimeout(timer);
  };
}
