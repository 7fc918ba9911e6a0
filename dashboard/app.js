// SPDX-License-Identifier: BSD-2-Clause

// The dashboard: sign in, choose a view by the part behind the #, and keep it
// fresh.

import { api, redeem, repeat, signedIn, signIn, signOut } from './api.js';
import { button, el, field, replace } from './dom.js';
import { endpoint } from './endpoint.js';
import { events, feeds } from './feeds.js';
import { forget as forgetSent } from './letters.js';
import { overview } from './overview.js';

const partner = {
  probe: '/status',
  ask: 'Paste an API key or an access token.',
  links: [['#endpoints', 'Endpoints'], ['#feeds', 'Feeds']],
  view(main, name, rest) {
    switch (name) {
    case 'endpoint': return endpoint(main, rest, told);
    case 'feeds': return feeds(main);
    case 'feed': return events(main, rest, told, fresh);
    default: return overview(main);
    }
  },
};

// The page for operators has the same frame around views of its own.
const { page } = document.body.dataset.page === 'operator'
  ? await import('./operator.js') : { page: partner };

const main = document.getElementById('main');
const nav = document.getElementById('nav');
const live = document.getElementById('live');
const out = document.getElementById('out');
const done = document.getElementById('told');
const failed = document.getElementById('failed');

let end = null;

// Says what was done, or what failed; the next one takes its place.
function told(text, error) {
  done.textContent = text ?? '';
  failed.textContent = error ? error.message : '';
  if (error?.status === 401) {
    leave(error.message);
  }
}

// What goes on by itself: "Live", or a Problem and when it is tried again.
function fresh(error, wait) {
  if (error === null && wait === null) {
    live.textContent = '';
    return;
  }
  live.className = error ? 'live bad' : 'live';
  live.textContent = error
    ? `${error.message} Trying again in ${Math.round(wait)} s.` : 'Live';
  if (error?.status === 401) {
    leave(error.message);
  }
}

function stop() {
  end?.();
  end = null;
  live.textContent = '';
}

function leave(why) {
  stop();
  signOut();
  forgetSent();
  nav.hidden = true;
  out.hidden = true;
  done.textContent = '';
  failed.textContent = why ?? '';
  welcome();
}

function welcome() {
  document.title = 'Sign in – Eventsync';
  const form = el('form', {
    class: 'signin',
    onsubmit: async (event) => {
      event.preventDefault();
      failed.textContent = '';
      signIn(new FormData(event.currentTarget).get('key').trim());
      try {
        await api('GET', page.probe);
      } catch (error) {
        signOut();
        failed.textContent = error.message;
        return;
      }
      enter();
    },
  },
  el('h2', {}, 'Sign in'),
  el('p', {}, `${page.ask} This page keeps it in memory only, `
    + 'until you sign out, close or reload it.'),
  field('Key or token', 'key', 'password', {
    required: true, autocomplete: 'off', spellcheck: 'false' }),
  el('button', {}, 'Sign in'));
  replace(main, form);
  form.querySelector('input').focus();
}

function view() {
  const [name, rest] = decodeURIComponent(location.hash.slice(1)).split(/\/(.*)/s);
  return page.view(main, name, rest, told);
}

function enter() {
  if (!signedIn()) {
    return;
  }
  stop();
  told(null, null);
  nav.hidden = false;
  out.hidden = false;
  const shown = view();
  document.title = `${shown.title} – Eventsync`;
  for (const link of nav.children) {
    if ((location.hash || nav.firstChild.hash).startsWith(link.hash.slice(0, -1))) {
      link.setAttribute('aria-current', 'page');
    } else {
      link.removeAttribute('aria-current');
    }
  }
  const repeated = shown.once && repeat(() => shown.seconds, shown.once, fresh);
  end = () => {
    repeated?.();
    shown.end?.();
  };
  main.focus();
}

// Who signs in next begins anew.
function forget() {
  history.replaceState(null, '', location.pathname + location.search);
}

// The secret of a link leaves the address bar, and so the history, before it is
// used.
async function link() {
  const secret = location.hash.slice('#link/'.length);
  forget();
  leave(null);
  await opened(secret);
}

// Nothing has used a link up that met no server, so it can be tried again.
async function opened(secret) {
  try {
    await redeem(secret);
  } catch (error) {
    leave(error.message);
    if (error.status === 0 || error.status === 429 || error.status >= 500) {
      main.prepend(button('Open the link again', () => opened(secret)));
    }
    return;
  }
  enter();
}

function moved() {
  if (location.hash.startsWith('#link/')) {
    link();
  } else {
    enter();
  }
}

replace(nav, page.links.map(([href, text]) => el('a', { href }, text)));
out.addEventListener('click', () => {
  forget();
  leave(null);
});
window.addEventListener('hashchange', moved);
if (location.hash.startsWith('#link/')) {
  link();
} else {
  welcome();
}
