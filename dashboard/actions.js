// SPDX-License-Identifier: BSD-2-Clause

// What a partner can do with an endpoint.

import { copied } from './copy.js';
import { button, el, field, replace } from './dom.js';

const FAILURES = ['status', 'delay', 'reset', 'truncate', 'tls', 'duplicate', 'reorder',
  'drop', 'none'];

// A form that opens below its button, so that nothing happens by one click that
// cannot be taken back.
function form(title, fields, submit, run) {
  return el('details', { class: 'action' }, el('summary', {}, title),
    el('form', {
      onsubmit: async (event) => {
        event.preventDefault();
        const target = event.currentTarget;
        if (await run(new FormData(target))) {
          target.closest('details').open = false;
        }
      },
    }, fields, el('button', {}, submit)));
}

function rotate(act) {
  const secret = el('div');
  return [
    form('Rotate the secret', [
      el('p', {}, 'A new secret is made, and both sign until the old one expires. '
        + 'The new one is shown once.'),
      field('Old one expires after', 'overlap', 'text', {
        value: '24h', pattern: '[0-9]+(ms|s|m|h|d)?', required: true }),
    ], 'Make a new secret', async (data) => {
      const made = await act('POST', '/rotate', { overlap: data.get('overlap') },
        'The secret is rotated.');
      if (made) {
        replace(secret, el('p', {}, 'The new secret: ',
          el('code', {}, made.secret), ' ', copied(made.secret, 'Copy the secret'),
          ' ', button('Hide it', () => replace(secret))));
      }
      return made;
    }),
    secret,
  ];
}

// The given buttons are shown where they would change something.
export function actions(act, ...given) {
  return el('div', { class: 'actions' },
    button('Send a test event', () => act('POST', '/test', {},
      'A test event is on its way. Its attempt is listed below.')),
    given,
    form('Replay a feed', [
      field('Feed', 'feed', 'text', { required: true }),
      field('From (oldest, or a time such as 2026-11-30T12:00:00Z)', 'from', 'text',
        { value: 'oldest', required: true }),
    ], 'Replay', (data) => act('POST', '/replay',
      { feed: data.get('feed'), from: data.get('from') },
      'The feed is sent again from there.')),
    form('Simulate a failure', [
      field('Failure', 'failure', 'select', { values: FAILURES }),
      field('For', 'for', 'text', { value: '10m', pattern: '[0-9]+(s|m|h|d)',
        required: true }),
    ], 'Simulate', (data) => act('POST', '/simulate',
      data.get('failure') === 'none' ? { failure: 'none' }
        : { failure: data.get('failure'), for: data.get('for') },
      data.get('failure') === 'none' ? 'The simulation has ended.'
        : 'Deliveries fail until then.')),
    rotate(act));
}
