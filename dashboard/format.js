// SPDX-License-Identifier: BSD-2-Clause

// Figures as people read them.

const UNITS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

// A number of seconds: "3 min 20 s", with its two largest units.
export function span(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [size, unit] of UNITS) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) {
      parts.push(`${n} ${unit}`);
    }
    if (parts.length > 0 && (n === 0 || parts.length === 2)) {
      break;
    }
  }
  return parts.join(' ') || '0 s';
}

// A time beside another, which is the server's: "in 5 s", "3 min ago".
export function when(time, now) {
  const seconds = ((typeof time === 'number' ? time : Date.parse(time)) - now) / 1000;
  return seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

// The same for what is past, although the server's clock is known to a second
// only.
export function ago(time, now) {
  return Date.parse(time) > now - 1000 ? 'just now' : when(time, now);
}

// A time of today without its date.
export function clock(time) {
  const date = new Date(time);
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString().replaceAll(/\s/g, '\u00a0')
    : date.toLocaleString();
}

export function percent(share) {
  if (share === null || share === undefined) {
    return 'no attempts';
  }
  // 99.96 % must not look like all
  const value = share === 1 ? 100 : Math.min(99.9, Math.round(share * 1000) / 10);
  return `${value} %`;
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) {
    return '–';
  }
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function bytes(n) {
  let value = n;
  let unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${
    ['bytes', 'kB', 'MB', 'GB', 'TB'][unit]}`;
}

export function many(n, one, more = `${one}s`) {
  return `${n.toLocaleString('en')} ${n === 1 ? one : more}`;
}

// How often: "once", "twice", "5 times".
export function times(n) {
  return ['never', 'once', 'twice'][n] ?? many(n, 'time');
}

// The beginning of what a receiver answered, on one line.
export function excerpt(body) {
  const line = body.trim().replaceAll(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}

const STATES = {
  active: 'Active: events are sent as they come.',
  stalled: 'Stalled: an event or a feed makes no progress.',
  failing: 'Failing: the receiver does not accept events. Each is tried again until its '
    + 'schedule ends.',
  unverified: 'Unverified: the receiver has not agreed to be sent events.',
  paused: 'Paused: nothing is sent until it is resumed. Nothing is lost meanwhile, '
    + 'as long as the feeds keep the events.',
  stopped: 'Stopped: nothing is sent until it is resumed.',
  disabled: 'Disabled by the provider.',
};

export function explain(state) {
  return STATES[state] ?? state;
}

const CLASSES = {
  ok: 'accepted',
  status: 'refused',
  redirect: 'redirected, which is not followed',
  dns: 'name not found',
  connect: 'no connection',
  address: 'address not allowed',
  tls: 'TLS failed',
  timeout: 'timed out',
  reset: 'connection lost',
  protocol: 'not HTTP',
  internal: 'internal fault of the provider',
  simulated: 'simulated failure',
  proxy: "the provider's proxy failed",
  token: 'no access token',
  skipped: 'skipped on request',
  unverified: 'not sent: the receiver has not agreed',
};

export function outcome(attempt) {
  const text = CLASSES[attempt.class] ?? attempt.class;
  return attempt.status ? `${attempt.status}, ${text}` : text;
}
