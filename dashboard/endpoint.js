// SPDX-License-Identifier: BSD-2-Clause

// One endpoint: how it is, why, its attempts and dead letters, and what its
// partner can do.

import { actions } from './actions.js';
import { api, now } from './api.js';
import { attempts, cursorOf } from './attempts.js';
import { bars } from './chart.js';
import { button, el, facts, redraw, replace, table } from './dom.js';
import { ago, clock, explain, many, milliseconds, outcome, percent, span, when }
  from './format.js';
import { letters, resent } from './letters.js';
import { names } from './names.js';
import { badge, backlog, loss } from './overview.js';
import { next, waits } from './waiting.js';

const LISTED = 50;
const FIRST = 10;                // attempts that are shown at first, with their events

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
      : `${many(delivery.behind, 'event is', 'events are')} not sent yet`}${delivery.pending > 0
      ? `, ${many(delivery.pending, 'event is', 'events are')} being sent` : ''}. `
      + `Everything up to ${delivery.cursor} is done.`;
  case 'away':
    return `${feed}no longer sent; its place is kept until `
      + `${clock(delivery.kept_until)}.`;
  case 'stalled':
    return `${feed}no progress since ${clock(delivery.since)}: `
      + `${REASONS[delivery.reason] ?? delivery.reason}`
      + `${delivery.id ? ` (event ${delivery.id} of type ${delivery.type})` : ''}`
      + `${delivery.next && Date.parse(delivery.next) > now()
        ? `. The next attempt is ${when(delivery.next, now())}` : ''}`
      + `${delivery.dead_at ? `, the last one ${when(delivery.dead_at, now())}` : ''}.`;
  case 'waiting':
    return `${feed}${waits(delivery)}.`;
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
      label: bound === null ? 'more' : bound < 1000 ? `${bound}\nms` : `${bound / 1000}\ns`,
      title: `${bound === null ? 'longer' : `up to ${bound} ms`}: ${many(n, 'attempt')}`,
      parts: [['plain', n]],
    })));
}

function tries(figures) {
  const names = ['1st', '2nd', '3rd', '4th', '5th', 'later'];
  return bars('Attempts by number, last day',
    `${many(figures.tries[0], 'first attempt')}, ${many(figures.attempts - figures.tries[0],
      'retry', 'retries')}.`,
    figures.tries.map((n, i) => ({
      label: names[i], title: `${names[i]}: ${many(n, 'attempt')}`,
      parts: [['plain', n]],
    })));
}

function charts(figures) {
  if (!figures) {
    return el('p', {}, 'A key that is narrowed to feeds does not get figures.');
  }
  return el('div', { class: 'charts' }, byTime('hour', figures.hour),
    byTime('day', figures.day), latency(figures.day), tries(figures.day));
}

// The beginning of each feed's epoch, which changes less often than cursors do.
function epochs(cursors) {
  return cursors.map(([feed, cursor]) => [feed, cursor.replace(/-.*/, '-0')]);
}

// A list of the server, a page at a time: only the first page is read again by
// itself, and only what has changed is drawn again.  `known` are the names of
// events, and `cursors` gives those to learn.
function pages(path, member, draw, told, cursors, known) {
  const body = el('div');
  const turn = el('p', { class: 'buttons' });
  let after = null;
  let drawn = null;

  async function once(signal, context) {
    const answer = await api('GET', `${path}?limit=${LISTED}${after === null ? ''
      : `&after=${encodeURIComponent(after)}`}`, undefined, signal);
    await known.learn(cursors(answer[member], context), signal);
    const text = JSON.stringify([answer, context, known.size()]);
    if (text === drawn) {
      return answer;
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
    return answer;
  }

  return { nodes: [body, turn], once, first: () => after === null || drawn === null };
}

// Why the newest of these attempts that failed did so.
function lastFailure(list) {
  const failed = list.find((a) => a.class !== 'ok');
  return failed && el('p', {}, `The last failure was ${ago(failed.time, now())}: `,
    el('span', { class: 'bad' }, outcome(failed)), '. ', failed.hint);
}

function summary(status) {
  const deliveries = status.deliveries.filter((d) => d.kind === 'progress');
  const one = { deliveries };
  const { hour } = status.figures ?? {};
  const promised = hour?.fresh?.share ?? null;
  const first = loss(one);
  return [facts([
    hour && ['Accepted, last hour', `${percent(hour.success)}${hour.attempts
      ? ` of ${many(hour.attempts, 'attempt')}` : ''}`],
    hour && ['Latency, last hour', milliseconds(hour.latency?.mean ?? hour.mean)],
    promised !== null && ['Within the promise, last hour', percent(promised)],
    ['Behind', backlog(one)],
    status.next !== undefined && ['Next attempt', next(status)],
  ]), el('p', {}, first === 'nothing'
    ? 'No event that was not delivered will be deleted. Dead letters do not count here.'
    : `The oldest event that was not delivered is deleted ${first}. Dead letters do not `
      + 'count here: each has a time of its own.')];
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

// The seconds for which each feed keeps its events; null: not limited.  They are
// served only with eventsync_feeds.
async function retention(kept, feeds, signal) {
  await Promise.all(feeds.filter((feed) => !kept.has(feed)).map(async (feed) => {
    try {
      const record = await api('GET', `/feeds/${encodeURIComponent(feed)}`, undefined, signal);
      kept.set(feed, record.retention.seconds || null);
    } catch (error) {
      if ([403, 404].includes(error.status)) {
        kept.set(feed, undefined);
      }
    }
  }));
}

// The parts of an endpoint that only a key of scope "manage" gets.
function managing(path, name, told, send, wanted) {
  const known = names();
  const kept = new Map();
  const again = resent(name);
  const failure = el('div');
  let all = false;

  // The newest few, until all of the page are asked for; or those of one event.
  function shortened(list, context) {
    const [feed, sequence] = wanted;
    const few = feed ? list.filter((a) => a.feed === feed && a.sequence === Number(sequence))
      : all ? list : list.slice(0, FIRST);
    return [
      feed && el('p', {}, `Only attempts at ${feed} ${sequence} are shown: `
        + `${few.length} of these ${list.length}. `,
      el('a', { href: `#endpoint/${name}` }, 'Show those of all events'), ' ',
      context.cursors.has(feed) && el('a', { href: `#feed/${feed}/${cursorOf({ feed,
        sequence }, context.cursors)}` }, 'Show the event')),
      few.length === 0 && feed ? null : attempts(few, context, list.length),
      few.length < list.length && !feed && button(`Show ${list.length - few.length} more`,
        () => {
          all = true;
          redraw(sent.nodes[0], shortened(list, context));
        }),
    ];
  }

  let seen = { attempts: [], dead: [], status: null };
  const sent = pages(`${path}/attempts`, 'attempts', (list, { url, cursors }) =>
    shortened(list, { url, known, cursors: new Map(cursors) }), told,
  (list, { cursors }) => list.filter((a) => a.feed && a.sequence).slice(0, FIRST)
    .map((a) => [a.feed, cursorOf(a, new Map(cursors))]), known);
  const dead = pages(`${path}/dead-letters`, 'dead_letters', (list) => letters(list, {
    name, known, kept, attempts: seen.attempts, send }), told,
  (list) => list.map((d) => [d.feed, d.cursor]), known);

  async function once(signal, status, url) {
    const cursors = status.deliveries.filter((d) => d.cursor).map((d) => [d.feed, d.cursor]);
    seen.status = status;
    if (sent.first()) {
      seen.attempts = (await sent.once(signal, { url, cursors: epochs(cursors) })).attempts;
      redraw(failure, lastFailure(seen.attempts));
    }
    if (dead.first()) {
      await retention(kept, cursors.map(([feed]) => feed), signal);
      const failed = seen.attempts.filter((a) => a.class !== 'ok').length;
      const answer = await dead.once(signal, { failed, minute: Math.floor(now() / 60000) });
      seen = { ...seen, dead: answer.dead_letters, more: answer.next };
    }
    again.draw(seen, known);
  }

  return { failure, again, known, sent, dead, once, seen: () => seen };
}

// The place is a name, which may have the feed and number of an event behind it.
export function endpoint(main, place, told) {
  const [name, ...wanted] = place.split('/');
  const path = `/endpoints/${encodeURIComponent(name)}`;
  const now_ = el('div');
  const figures = el('div');
  const what = el('p', { class: 'origin' });
  const managed = el('div');
  const pausing = button('Pause', () => act('POST', '/pause', undefined,
    'The endpoint is paused.'));
  const resuming = button('Resume', () => act('POST', '/resume', undefined,
    'The endpoint is resumed.'));
  const redriving = button('Send all dead letters again', redrive);
  const doing = actions(act, pausing, resuming, redriving);
  const part = managing(path, name, told, resend, wanted);

  // Does it, shows the outcome at once, and says so; what is said may depend on
  // the new state.
  async function act(method, suffix, body, done) {
    try {
      const answer = await api(method, path + suffix, body);
      // it is done, even if the page cannot be refreshed now
      await once().catch(() => {});
      told(typeof done === 'function' ? done(part.seen().status, answer) : done, null);
      return answer;
    } catch (error) {
      told(null, error);
      return null;
    }
  }

  async function resend(letter) {
    const { feed, cursor } = letter;
    if (await act('POST', '/resend', { feed, cursor }, (status) => `${feed} ${letter.sequence} `
      + `is queued, not delivered yet. The next attempt: ${next(status, true)}.`)) {
      part.again.add(letter);
      part.again.draw(part.seen(), part.known);
    }
  }

  async function redrive() {
    const { dead, more } = part.seen();
    const list = `${more ? 'at least ' : ''}${many(dead.length, 'dead letter')}`;
    // a question of the browser leaves the focus where it is
    if (confirm(`Send ${list} again? The receiver gets them once more.`)
        && await act('POST', '/redrive', undefined, (status) => `${list} ${dead.length === 1
          ? 'is' : 'are'} queued, not delivered yet. The next attempt: ${next(status, true)}.`)) {
      dead.toReversed().forEach(part.again.add);
      part.again.draw(part.seen(), part.known);
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
    const held = document.activeElement;
    resuming.hidden = !['paused', 'stopped', 'disabled'].includes(status.state);
    pausing.hidden = status.state === 'paused';
    await part.once(signal, status, record.url);
    redriving.hidden = part.seen().dead.length === 0;
    doing.refresh(record, status.deliveries.filter((d) => d.kind === 'progress')
      .map((d) => d.feed));
    // who used a button that is not there any more goes on at its successor
    if (held?.hidden) {
      (held === pausing ? resuming : held === resuming ? pausing : doing.node
        .querySelector('button')).focus({ preventScroll: true });
    }
  }

  replace(managed,
    el('section', { 'aria-label': 'Actions' }, el('h3', {}, 'Actions'),
      doing.node),
    el('section', { 'aria-label': 'Dead letters' }, el('h3', {}, 'Dead letters'),
      part.again.body, part.dead.nodes),
    el('section', { 'aria-label': 'Figures' }, el('h3', {}, 'Figures'), figures),
    el('section', { 'aria-label': 'Attempts' }, el('h3', {}, 'Attempts'), part.sent.nodes));
  replace(main,
    el('p', {}, el('a', { href: '#endpoints' }, 'All endpoints')),
    el('h2', {}, name), what,
    el('section', { 'aria-label': 'State' }, now_, part.failure), managed);

  return { title: name, seconds: 5, once };
}
