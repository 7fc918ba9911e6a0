// SPDX-License-Identifier: BSD-2-Clause

// The page for operators: all partners, those who need attention first.

import { api, now } from './api.js';
import { button, el, field, redraw, replace, table } from './dom.js';
import { many, percent, span, when } from './format.js';
import { partner } from './operator_partner.js';
import { store, storeTroubles } from './operator_store.js';

const PAGE = 50;
const TYPING = 300;                    // ms without a key before a search

const SORTS = { 'who needs attention': 'attention', name: 'name',
  'longest behind': 'lag', 'failed attempts, last hour': 'failures',
  'dead letters': 'dead-letters' };

const BADGES = { failing: 'failing', lagging: 'stalled', limited: 'unverified' };

// What needs no attention; a narrow screen leaves it out.
function quiet(text) {
  return el('span', { class: 'quiet' }, text);
}

function backlog({ lag }) {
  return lag.events === 0 ? quiet('up to date') : `${many(lag.events, 'event')}, ${span(lag.seconds)}`;
}

function loss({ retention }) {
  if (retention.missed > 0) {
    return el('span', { class: 'bad' }, `${many(retention.missed, 'event')} lost`);
  }
  return retention.expires ? el('span', { class: retention.near ? 'bad' : null },
    when(retention.expires, now())) : retention.near ? 'soon' : quiet('nothing');
}

function success({ hour, minute }) {
  return hour.attempts === 0 ? quiet('–') : el('span', {},
    `${percent(hour.success)} of ${many(hour.attempts, 'attempt')}`,
    minute.attempts > 0 && el('span', { class: 'origin' },
      `last minute: ${percent(minute.success)} of ${minute.attempts}`));
}

function row(p) {
  const states = Object.entries(p.endpoints).map(([state, n]) => `${n} ${state}`);
  return [
    el('span', {}, el('a', { href: `#partner/${p.name}` }, p.name),
      p.disabled && el('span', { class: 'origin' }, 'disabled')),
    p.attention ? el('span', { class: `badge ${BADGES[p.attention]}` }, p.attention)
      : quiet('–'),
    states.join(', ') || quiet('none'),
    backlog(p),
    loss(p),
    success(p),
    p.dead_letters > 0 ? String(p.dead_letters) : quiet('0'),
    p.limited.length > 0 ? `${p.limited.join(', ')} (${p.refused} so far)` : quiet('–'),
  ];
}

function summary(answer, state) {
  const wrong = storeTroubles(state);
  const counts = ['failing', 'lagging', 'limited'].filter((kind) => answer[kind] > 0)
    .map((kind) => `${answer[kind]} ${kind}`);
  return [
    wrong.length > 0 && el('ul', { class: 'troubles' }, wrong.slice(0, 5).map(({ text }) =>
      el('li', {}, el('span', { class: 'warning' }, text), ' ',
        el('a', { href: '#store' }, 'What to do')))),
    counts.length > 0
      ? el('p', { class: 'warning' }, `Of ${many(answer.total, 'partner')}: `
        + `${counts.join(', ')}.`)
      : answer.total > 0 && el('p', { class: 'good' },
        `None of ${many(answer.total, 'partner')} fails, lags or is limited.`),
  ];
}

function partners(main, told) {
  const body = el('div');
  const chosen = { sort: 'attention', search: '', after: null };
  let typing;
  let asked = 0;

  function list(answer) {
    if (answer.total === 0) {
      return el('p', {}, 'There are no partners. Create one with ',
        el('code', {}, 'eventsyncctl partner create NAME'), '.');
    }
    if (answer.matching === 0) {
      return el('p', {}, `No partner has “${chosen.search}” in its name.`);
    }
    if (answer.partners.length === 0) {
      return el('p', {}, 'The list ends before this page.');
    }
    return table(`${many(answer.matching, 'partner')}${chosen.after
      ? ', continued' : ''}`,
    ['Partner', 'Attention', 'Endpoints', 'Behind', 'First loss', 'Accepted, last hour',
      'Dead letters', 'Limited by'], answer.partners.map(row));
  }

  function draw(answer, state) {
    const go = (text, after) => button(text, () => {
      chosen.after = after;
      body.scrollIntoView();
      show();
    });
    redraw(body, summary(answer, state), list(answer), el('p', { class: 'actions' },
      chosen.after && go('First page', null),
      answer.next && go('Next page', answer.next)));
  }

  // An answer that was asked for before the last change is not shown.
  async function once(signal) {
    const turn = asked += 1;
    const query = new URLSearchParams({ sort: chosen.sort, limit: PAGE });
    for (const name of ['search', 'after']) {
      if (chosen[name]) {
        query.set(name, chosen[name]);
      }
    }
    const [answer, state] = await Promise.all([
      api('GET', `/partners?${query}`, undefined, signal),
      api('GET', '/store', undefined, signal),
    ]);
    if (turn === asked && body.isConnected) {
      draw(answer, state);
    }
  }

  // What was asked for by hand is told when it fails.
  function show() {
    once().then(() => told(null, null), (error) => told(null, error));
  }

  function changed() {
    const data = new FormData(filter);
    chosen.search = data.get('search').trim();
    chosen.sort = SORTS[data.get('sort')];
    chosen.after = null;
    show();
  }

  const filter = el('form', {
    class: 'filter',
    onsubmit: (event) => event.preventDefault(),
    oninput: ({ target }) => {
      clearTimeout(typing);
      typing = setTimeout(changed, target.name === 'sort' ? 0 : TYPING);
    },
  },
  field('Search by name', 'search', 'search', { maxlength: 63, autocomplete: 'off',
    spellcheck: 'false' }),
  field('Order', 'sort', 'select', { values: Object.keys(SORTS) }));

  replace(main, el('h2', {}, 'Partners'), filter, body);
  return { title: 'Partners', seconds: 5, once };
}

export const page = {
  probe: '/store',
  ask: 'Paste an API key or an access token with the scope “admin”.',
  links: [['#partners', 'Partners'], ['#store', 'Store']],
  view(main, name, rest, told) {
    switch (name) {
    case 'partner': return partner(main, rest);
    case 'store': return store(main);
    default: return partners(main, told);
    }
  },
};
