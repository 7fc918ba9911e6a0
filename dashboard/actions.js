// SPDX-License-Identifier: BSD-2-Clause

// What a partner can do with an endpoint.

import { copied } from './copy.js';
import { button, choices, el, field, redraw, replace } from './dom.js';
import { clock } from './format.js';

const FAILURES = [
  ['status', 'Every answer counts as an error'],
  ['delay', 'The first attempt is made late'],
  ['reset', 'The connection is closed before the answer'],
  ['truncate', 'The connection is closed in the middle of the body'],
  ['tls', 'The certificate is not accepted'],
  ['duplicate', 'Each event is sent twice'],
  ['reorder', 'Each event is sent after the next one'],
  ['drop', 'No event is sent, and each counts as delivered'],
  ['none', 'None: end the simulation'],
];

// A form that opens below its button, so that nothing happens by one click that
// cannot be taken back.
function form(title, fields, submit, run) {
  return el('details', { class: 'action' }, el('summary', {}, title),
    el('form', {
      onsubmit: async (event) => {
        event.preventDefault();
        const target = event.currentTarget;
        if (await run(new FormData(target))) {
          const action = target.closest('details');
          action.open = false;
          action.querySelector('summary').focus();
        }
      },
    }, fields, el('button', {}, submit)));
}

// The end of the last secret that still signs beside the present one.
function overlap(record) {
  return record?.secrets.map((one) => one.expires).filter(Boolean).sort().at(-1);
}

function rotate(act, record) {
  const secret = el('div');
  const running = el('div');
  const action = form('Rotate the secret', [
    el('p', {}, 'A new secret is made, and both sign until the old one expires. '
      + 'The new one is shown once.'),
    running,
    field('Old one expires after', 'overlap', 'text', {
      value: '24h', pattern: '[0-9]+(ms|s|m|h|d)?', required: true, example: '24h' }),
  ], 'Make a new secret', async (data) => {
    const until = overlap(record());
    if (!confirm(`Make a new secret? The present one signs for ${data.get('overlap')} more.${
      until ? ` An older one signs until ${clock(until)} already.` : ''}`)) {
      return null;
    }
    const made = await act('POST', '/rotate', { overlap: data.get('overlap') },
      (_, answer) => `The secret is rotated.${overlap(answer)
        ? ` The old one signs until ${clock(overlap(answer))}.` : ''}`);
    if (made) {
      replace(secret, el('p', {}, 'The new secret: ',
        el('code', {}, made.secret), ' ', copied(made.secret, 'Copy the secret'),
        ' ', button('Hide it', () => {
          replace(secret);
          action.querySelector('summary').focus();
        })));
    }
    return made;
  });
  return { nodes: [action, secret], refresh() {
    const until = overlap(record());
    redraw(running, until && el('p', { class: 'warning' },
      `An overlap runs already: an old secret signs until ${clock(until)}.`));
  } };
}

// The given buttons are shown where they would change something.  `refresh` takes
// the endpoint as it is now, and the feeds that it is sent.
export function actions(act, ...given) {
  let record = null;
  const secret = rotate(act, () => record);
  const feed = field('Feed', 'feed', 'select', { values: [], required: true });
  const node = el('div', { class: 'actions' },
    button('Send a test event', () => act('POST', '/test', {},
      'A test event is on its way. Its attempt is listed below.')),
    given,
    form('Replay a feed', [
      feed,
      field('From (oldest, or a time such as 2026-11-30T12:00:00Z)', 'from', 'text',
        { value: 'oldest', required: true }),
    ], 'Replay', (data) => act('POST', '/replay',
      { feed: data.get('feed'), from: data.get('from') },
      'The feed is sent again from there.')),
    form('Simulate a failure', [
      field('Failure', 'failure', 'select', { values: FAILURES }),
      field('For', 'for', 'text', { value: '10m', pattern: '[0-9]+(s|m|h|d)',
        required: true, example: '10m' }),
    ], 'Simulate', (data) => act('POST', '/simulate',
      data.get('failure') === 'none' ? { failure: 'none' }
        : { failure: data.get('failure'), for: data.get('for') },
      data.get('failure') === 'none' ? 'The simulation has ended.'
        : 'Deliveries fail until then.')),
    secret.nodes);

  return {
    node,
    refresh(now, feeds) {
      record = now;
      choices(feed.querySelector('select'), feeds);
      secret.refresh();
    },
  };
}
