// SPDX-License-Identifier: BSD-2-Clause

// What an operator does about a trouble: the name of its section in
// docs/runbooks.md, and the first commands of it.  A test compares them.

import { copied } from './copy.js';
import { el } from './dom.js';

const RUNBOOKS = {
  EventsyncDispatcherDown: ['systemctl status eventsync-dispatcher',
    'journalctl -u eventsync-dispatcher -n 50', 'systemctl start eventsync-dispatcher'],
  EventsyncClockWrong: ['date -u', 'timedatectl', 'timedatectl set-ntp true'],
  EventsyncClockUnsynchronized: ['systemctl status systemd-timesyncd chrony',
    'timedatectl set-ntp true'],
  EventsyncDiskNearlyFull: ['df -h "$EVENTSYNC_STORE"', 'eventsyncctl feed list',
    'eventsyncctl feed change orders --retain-age=3d'],
  EventsyncStoreNearlyFull: ['cat "$EVENTSYNC_STORE"/format', 'eventsyncctl doctor',
    'eventsyncctl feed list'],
  EventsyncReadersNearlyFull: ['eventsyncctl doctor',
    'grep -ls "$EVENTSYNC_STORE"/ /proc/[0-9]*/maps'],
  EventsyncRetentionNotApplied: ['eventsyncctl feed show prices',
    'systemctl status eventsync-dispatcher', 'systemctl start eventsync-dispatcher'],
  EventsyncEndpointStopped: ['eventsyncctl explain ep_…',
    'eventsyncctl endpoint attempts ep_… --limit=5', 'eventsyncctl endpoint resume ep_…'],
  EventsyncEndpointFailing: ['eventsyncctl explain ep_…', 'eventsyncctl doctor ep_…',
    'eventsyncctl endpoint test ep_…'],
  EventsyncEndpointStalled: ['eventsyncctl explain ep_…'],
  EventsyncEndpointUnverified: ['eventsyncctl endpoint status ep_…',
    'eventsyncctl doctor ep_…', 'eventsyncctl endpoint verify ep_…'],
  EventsyncRetentionNear: ['eventsyncctl explain ep_…', 'eventsyncctl feed list',
    'eventsyncctl feed change orders --retain-count=0 --retain-age=14d'],
  EventsyncEventsLost: ['eventsyncctl endpoint status', 'eventsyncctl explain ep_…',
    'eventsyncctl feed change orders --retain-age=14d'],
  EventsyncBacklogGrowing: ['eventsyncctl explain ep_…',
    'eventsyncctl endpoint change ep_… --in-flight=16 --batch=100'],
  EventsyncPartnerLimited: ["grep 'eventsync limits' /var/log/nginx/error.log | tail -n 5",
    'eventsyncctl partner show acme'],
  EventsyncFeedNotFresh: ['eventsyncctl doctor', 'eventsyncctl endpoint status',
    'cat /proc/loadavg', 'eventsyncctl endpoint change ep_… --batch=20'],
  EventsyncDeadLetters: ['eventsyncctl endpoint dead',
    'eventsyncctl endpoint attempts ep_… --limit=20', 'eventsyncctl endpoint redrive ep_…'],
};

// The examples of the runbooks, with the names in place of theirs.
function commands(alert, { endpoint, partner, feed }) {
  return RUNBOOKS[alert].map((line) => line
    .replace('ep_…', endpoint ?? 'ep_…')
    .replace('acme', partner ?? 'acme')
    .replace(/\b(?:orders|prices)\b/, feed ?? 'FEED')).join('\n');
}

// An item of a list: what is wrong, and what to do.  `names` are those of the
// partner, endpoint and feed that it concerns.
function trouble({ text, alert, names }) {
  const what = commands(alert, names ?? {});
  return el('li', {}, el('p', { class: 'warning' }, text),
    el('details', { 'data-key': `${alert} ${text}` },
      el('summary', {}, `Runbook ${alert}`),
      el('p', {}, 'It is a section of ', el('code', {}, 'docs/runbooks.md'),
        ', which begins with:'),
      el('pre', { tabindex: 0 }, what),
      copied(what, 'Copy the commands')));
}

export function troubles(list, good) {
  return list.length === 0 ? el('p', { class: 'good' }, good)
    : el('ul', { class: 'troubles' }, list.map(trouble));
}
