// SPDX-License-Identifier: BSD-2-Clause

// The checkpoints of a feed: how far each consumer has acknowledged, and the
// form that moves one.

import { api, now } from './api.js';
import { button, choices, el, field, redraw, table } from './dom.js';
import { ago, many, span, when } from './format.js';

const NEW = ['', 'a new consumer'];

const STATES = {
  ok: 'good',
  expired: 'The feed no longer keeps its events',
  reset: 'The feed has begun anew since',
};

function lag(checkpoint) {
  const { events, seconds } = checkpoint.lag;
  if (events === 0) {
    return 'up to date';
  }
  return events === null ? 'unknown'
    : `${many(events, 'event')}${seconds === null ? '' : `, ${span(seconds)}`}`;
}

function loss({ retention, lag: { events } }) {
  if (retention.missed > 0) {
    return el('span', { class: 'bad' }, `${many(retention.missed, 'event')} lost`);
  }
  if (!retention.expires || events === 0) {
    return 'nothing';
  }
  return el('span', { class: retention.warning ? 'warning' : '' },
    when(retention.expires, now()));
}

// Elements for the section, `once` to refresh them, and `acknowledge`, which
// opens the form for a cursor.
export function checkpoints(feed, told) {
  const path = `/feeds/${encodeURIComponent(feed)}/checkpoints`;
  const body = el('div');
  const consumer = field('Consumer', 'consumer', 'select', { values: [NEW] });
  const chosen = consumer.querySelector('select');
  const fresh = field('Name of the new one', 'name', 'text', {
    autocomplete: 'off', pattern: '[a-z0-9][a-z0-9_\\-]{0,62}', example: 'billing-2' });
  const cursor = field('Cursor', 'cursor', 'text', { required: true, autocomplete: 'off' });
  const back = field('If it is further already', 'rewind', 'select', {
    values: ['leave it', 'move it back'] });
  const summary = el('summary', {}, 'Acknowledge events');
  const form = el('details', { class: 'action' }, summary,
    el('form', {
      onsubmit: async (event) => {
        event.preventDefault();
        const data = new FormData(event.currentTarget);
        const name = chosen.value === '' ? data.get('name') : chosen.value;
        if (chosen.value === '' && !confirm(`Make a checkpoint for a new consumer "${name}"?`)) {
          return;
        }
        try {
          const made = await api('PUT', `${path}/${encodeURIComponent(name)}`, {
            cursor: data.get('cursor').trim(),
            ...(data.get('rewind') === 'leave it' ? {} : { rewind: true }),
          });
          form.open = false;
          summary.focus();
          await once();
          told(`The checkpoint of ${name} is at ${made.cursor}.`, null);
        } catch (error) {
          told(null, error);
        }
      },
    },
    el('p', {}, 'Everything up to the cursor then counts as processed. An endpoint that '
      + 'follows this consumer skips it.'),
    consumer, fresh, cursor, back, el('button', {}, 'Acknowledge')));
  form.hidden = true;

  // A name is written only for a new consumer.
  function choose() {
    fresh.hidden = chosen.value !== '';
    fresh.querySelector('input').required = !fresh.hidden;
  }

  chosen.addEventListener('change', choose);

  function acknowledge(to, name) {
    form.open = true;
    cursor.querySelector('input').value = to;
    if (name) {
      chosen.value = name;
      choose();
    }
    form.scrollIntoView({ block: 'nearest' });
    (name ? cursor.querySelector('input') : chosen).focus();
  }

  async function remove(name) {
    if (!confirm(`Remove the checkpoint of ${name}? The consumer's place is forgotten.`)) {
      return;
    }
    try {
      await api('DELETE', `${path}/${encodeURIComponent(name)}`);
      await once();
      told(`The checkpoint of ${name} is removed.`, null);
    } catch (error) {
      told(null, error);
    }
  }

  function draw(list, latest) {
    choices(chosen, [...list.map((c) => c.consumer), NEW]);
    choose();
    redraw(body, list.length === 0
      ? el('p', {}, 'No consumer has acknowledged events of this feed. A consumer that keeps '
        + 'its cursor here shows how far behind it is.')
      : table(many(list.length, 'checkpoint'),
        ['Consumer', 'Acknowledged up to', 'Behind', 'First loss', 'Moved', 'Action'],
        list.map((c) => [
          c.consumer,
          [c.cursor, c.status !== 'ok' && el('span', { class: 'bad hint' },
            `${STATES[c.status] ?? c.status}.`)],
          lag(c),
          loss(c),
          ago(c.updated, now()),
          [latest && button('Acknowledge', () => acknowledge(latest, c.consumer),
            { 'aria-label': `Acknowledge for ${c.consumer}` }), ' ',
          button('Remove', () => remove(c.consumer),
            { 'aria-label': `Remove ${c.consumer}` })],
        ])));
  }

  let latest = null;

  async function once(signal, newest) {
    latest = newest ?? latest;
    try {
      const answer = await api('GET', path, undefined, signal);
      form.hidden = false;
      const input = cursor.querySelector('input');
      if (!form.open) {
        input.value = latest ?? '';
      }
      draw(answer.checkpoints, latest);
    } catch (error) {
      if (error.status !== 404 && error.status !== 403) {
        throw error;
      }
      form.hidden = true;
      redraw(body, el('p', {}, error.status === 404
        ? 'This server keeps no checkpoints.' : error.message));
    }
  }

  return { nodes: [body, form], once, acknowledge: (to) => acknowledge(to) };
}
