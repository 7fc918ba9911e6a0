// SPDX-License-Identifier: BSD-2-Clause

// Drives the dashboard in Chromium: dashboard.js MODULES CHROMIUM, with JSON on
// standard input: { base, keys, endpoint, revoke, markup, shots }.  It prints one JSON
// array per line: [true or false, name of the check, what was seen].
'use strict';

const path = require('path');
const { execFileSync } = require('child_process');
const { accessible, check, failed, focused, given, hide, open, run, seen, signIn, text, told, until }
  = require('./browser.js');

async function partner(page) {
  await signIn(page, given.keys.partner);
  await seen('the endpoints are listed', () => page.getByRole('link',
    { name: given.endpoint }).waitFor());
  const list = await text(page);
  check(/50 % of 4 attempts/.test(list), 'with their success', list);
  check(/paused/.test(list) && /2 events/.test(list), 'state and backlog', list);
  check(/2 events.*when it is resumed/s.test(list), 'when it is sent', list);
  check(/1 event was given up at 1 endpoint/.test(list), 'what was given up', list);
  check(/first loss/i.test(list) && /in \d+ min/.test(list), 'and the first loss', list);
  await seen('and what goes on is said', () => page.getByText('Live', { exact: true })
    .waitFor());
  await accessible(page, 'the overview');

  await page.getByRole('link', { name: given.endpoint }).click();
  await seen('an endpoint is shown', () => page.getByRole('heading',
    { name: given.endpoint }).waitFor());
  await seen('with its attempts', () => page.getByText('404, refused').first()
    .waitFor());
  await seen('with its hint', () => page.getByText(/^The server has nothing at the path/)
    .first().waitFor());
  await page.getByRole('row').filter({ hasText: '404, refused' }).getByText('Details').first()
    .click();
  await seen('and the answer, as text', () => page.getByText(given.markup).first()
    .waitFor());
  await seen('and the request', () => page.locator(
    'details[open] dd').filter({ hasText: /POST http.*connection/ }).waitFor());
  await page.getByRole('button', { name: 'Show the event' }).first().click();
  await seen('with its event', () => page.locator('pre').filter({ hasText: '"bad"' }).waitFor());
  await seen('which stays open', async () => {
    const asked = () => page.addresses.filter((address) => /attempts\?limit/.test(address)).length;
    const before = asked();
    return await until(() => asked() > before)
      && await page.locator('pre').filter({ hasText: '"bad"' }).isVisible();
  });
  await seen('and how its promise was kept', () => page.locator('dl.facts div').filter({
    hasText: 'Within the promise' }).filter({ hasText: '100 %' }).waitFor());
  await seen('and its charts', () => page.getByRole('img', { name: /Latency, last day/ })
    .waitFor());
  await accessible(page, 'an endpoint');
}

// What a first look must answer.
async function look(page) {
  await seen('the last failure is told, with its hint', () => page.getByText(
    /The last failure was (?:.* ago|just now): 404, refused\. The server has nothing/).waitFor());
  check(await page.getByRole('button', { name: 'Resume' }).count() === 0,
    'what would change nothing is not offered');
}

// By the keyboard, far down the page: the focus stays, and messages are seen.
async function keyboard(page) {
  await page.setViewportSize({ width: 360, height: 500 });
  for (const [key, next, words] of [['Pause', 'Resume', 'is paused'],
    ['Resume', 'Pause', 'is resumed']]) {
    const control = page.getByRole('button', { name: key, exact: true });
    await control.focus();
    await control.press('Enter');
    await seen(`${key} by a key`, () => told(page, words));
    await seen('leaves the focus at what follows it', () => until(async () =>
      await focused(page) === next));
  }
  await page.mouse.wheel(0, 3000);
  await seen('a message is seen far down', () => until(() => page.getByRole('status').first()
    .evaluate((told_) => {
      const { top, bottom } = told_.getBoundingClientRect();
      return window.scrollY > 500 && top >= 0 && bottom <= window.innerHeight;
    })));
  await page.setViewportSize({ width: 1280, height: 720 });
}

async function act(page) {
  await look(page);
  await page.getByRole('button', { name: 'Send a test event' }).click();
  await seen('a test event is sent', () => told(page, 'A test event is on its way'));
  await seen('and listed', () => page.getByRole('rowheader').filter({ hasText: /\d/ })
    .locator('xpath=..').filter({ hasText: /test/ }).first().waitFor({ timeout: 15000 }));

  await page.getByRole('button', { name: 'Pause' }).click();
  await seen('it is paused', () => told(page, 'The endpoint is paused'));
  await seen('which is shown', () => page.getByText(/Paused: nothing is sent/).waitFor());
  await page.getByRole('button', { name: 'Resume' }).click();
  await seen('it is resumed', () => told(page, 'The endpoint is resumed'));
  await keyboard(page);

  await page.getByText('Replay a feed').click();
  await page.getByLabel('Feed', { exact: true }).selectOption('orders');
  await page.getByRole('button', { name: 'Replay', exact: true }).click();
  await seen('a feed is replayed', () => told(page, 'sent again from there'));

  await page.getByText('Replay a feed').click();
  await page.getByLabel(/^From \(oldest/).fill('yesterday');
  await page.getByRole('button', { name: 'Replay', exact: true }).click();
  await seen('a bad time is refused by a sentence', () => failed(page, /time|yesterday/i));

  await page.getByText('Simulate a failure').click();
  await page.getByLabel('Failure').selectOption('drop');
  await page.getByRole('button', { name: 'Simulate', exact: true }).click();
  await seen('a failure is simulated', () => told(page, 'Deliveries fail until then'));
  await page.getByText('Simulate a failure').click();
  await page.getByLabel('Failure').selectOption('none');
  await page.getByRole('button', { name: 'Simulate', exact: true }).click();
  await seen('and ended', () => told(page, 'The simulation has ended'));

  await page.getByText('Rotate the secret').click();
  await page.getByLabel('Old one expires after').fill('tomorrow');
  await page.getByRole('button', { name: 'Make a new secret' }).click();
  check(await page.getByLabel('Old one expires after').evaluate((input) =>
    input.validationMessage) === 'Write it like this: 24h', 'a bad overlap shows an example');
  await page.getByLabel('Old one expires after').fill('24h');
  page.refuses = true;
  await page.getByRole('button', { name: 'Make a new secret' }).click();
  check(/present one signs for 24h more\.$/.test(page.asked.at(-1)),
    'a secret is rotated after a question', page.asked);
  page.refuses = false;
  await page.getByRole('button', { name: 'Make a new secret' }).click();
  await seen('the secret is rotated', () => told(page,
    /The secret is rotated\. The old one signs until .*\d/));
  await page.getByText('Rotate the secret').click();
  await seen('another rotation warns of the first', () => page.getByText(
    /An overlap runs already: an old secret signs until/).waitFor());
  await page.getByText('Rotate the secret').click();
  await seen('and shown once', () => page.getByText(/whsec_/).waitFor());
  await page.getByRole('button', { name: 'Hide it' }).click();
  check(!/whsec_/.test(await text(page)), 'until it is hidden');

  await letters(page);
}

// A status of the endpoint as it would be, until what it returns is called.
async function altered(page, change) {
  const address = /endpoints\/[^/]+\/status$/;
  await page.route(address, async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    await route.fulfill({ response, json: { ...json, ...change(json) } });
  });
  return () => page.unroute(address);
}

const fact = (page, name, value) => page.locator('dl.facts div').filter({ hasText: name })
  .filter({ hasText: value }).waitFor({ timeout: 20000 });

// When the next attempt is agrees with the state.
async function attempt(page) {
  const ago = new Date(Date.now() - 93000).toISOString();
  const soon = new Date(Date.now() + 300000).toISOString();
  const waiting = { kind: 'waiting', feed: 'orders', retries: 1, held: 14, statuses: {} };
  const circuit = (next) => ({ kind: 'circuit', failures: 9, since: ago, next });
  for (const [name, value, change] of [
    ['that is late is overdue', 'overdue', { next: ago, state: 'active' }],
    ['while a circuit is open is one request', 'overdue; one request at a time',
      { next: ago, state: 'failing', deliveries: [waiting, circuit(ago)] }],
    ['is that of the circuit', /in \d min .* one request at a time/,
      { next: ago, state: 'failing', deliveries: [waiting, circuit(soon)] }],
    ['waits while it is paused', 'when it is resumed', { next: ago, state: 'paused' }],
    ['is due where events wait', 'now', { next: null, state: 'active', deliveries: [waiting] }],
  ]) {
    const end = await altered(page, () => change);
    await hide(page, false);     // the page asks at once
    await seen(`the next attempt ${name}`, () => fact(page, 'Next attempt', value));
    if (name === 'is due where events wait') {
      await seen('with what waits behind it', () => page.getByText('1 event waits for another '
        + 'attempt, and 14 later events wait until').waitFor());
    }
    await end();
  }
  await seen('what is lost first is a sentence', () => page.getByText(
    /^No event that was not delivered will be deleted\. Dead letters do not count/).waitFor());
  await seen('and otherwise nothing waits', () => fact(page, 'Next attempt', 'nothing waits'));
}

// A dead letter is known by its event and its answer, and followed when it is
// sent again.
async function letters(page) {
  await attempt(page);
  const section = page.getByRole('region', { name: 'Dead letters' });
  const row = section.getByRole('row').filter({ hasText: 'Send again' });
  await seen('a dead letter is known by its event', () => row.filter({ hasText:
    'bad, <i>s</i>' }).waitFor());
  await seen('the beginning of its answer, and how often it was tried', () => row.filter({
    hasText: `404: ${given.markup.slice(0, 10)}` }).filter({ hasText:
    'tried twice, then given up' }).waitFor());
  await page.getByRole('button', { name: /^Send again: / }).first().click();
  await seen('is queued', () => told(page, /^orders \d+ is queued, not delivered yet\. The next/));
  const followed = section.getByRole('table').filter({ hasText: 'Sent again from this page' })
    .getByRole('row').filter({ hasText: 'orders' });
  await seen('and followed', () => followed.filter({ hasText: /waits\. The next|404, refused/ })
    .waitFor());
  await seen('to its next end', () => followed.filter({ hasText:
    /404, refused at .*given up again/ }).waitFor({ timeout: 30000 }));
  await page.getByRole('button', { name: /^Send again: / }).first().waitFor({ timeout: 20000 });
  page.refuses = true;
  await page.getByRole('button', { name: 'Send all dead letters again' }).click();
  check(/^Send 1 dead letter again/.test(page.asked.at(-1)), 'all are sent after a question',
    page.asked);
  page.refuses = false;
  check(await page.getByText('1 dead letter is queued').count() === 0, 'and not without a yes');
  await page.getByRole('button', { name: 'Send all dead letters again' }).click();
  await seen('but with one', () => told(page, '1 dead letter is queued, not delivered yet'));
  await linked(page);
}

// Dead letter, event and attempts lead to each other.
async function linked(page) {
  const row = page.getByRole('region', { name: 'Dead letters' }).getByRole('row')
    .filter({ hasText: 'Send again' });
  await row.getByRole('link', { name: /^orders \d+$/ }).click();
  await seen('a dead letter leads to its event', () => page.locator('details.event[open] pre')
    .filter({ hasText: '"bad"' }).waitFor());
  check(await page.locator('details.event').count() === 1, 'and only this one');
  await page.getByRole('link', { name: given.endpoint }).click();
  await seen('the event to its attempts', () => page.getByText(/^Only attempts at orders 2 are/)
    .waitFor());
  await seen('which are no others', async () => {
    const rows = page.getByRole('region', { name: 'Attempts' }).getByRole('rowgroup').nth(1)
      .getByRole('row');
    await rows.first().waitFor();
    return await rows.filter({ hasText: 'orders 2' }).count() === await rows.count();
  });
  await page.getByRole('link', { name: 'Show those of all events' }).click();
  await row.getByRole('link', { name: 'Its attempts' }).click();
  await seen('and the dead letter, too', () => page.getByText(/^Only attempts at orders 2 are/)
    .waitFor());
  await page.getByRole('link', { name: 'Show those of all events' }).click();
  await seen('what was sent again is still followed', () => page.getByRole('table').filter({
    hasText: 'Sent again from this page' }).waitFor());
  const more = page.getByRole('button', { name: /^Show \d+ more$/ });
  await more.waitFor();
  check(await page.getByRole('region', { name: 'Attempts' }).getByRole('row').count() === 11,
    'few attempts are shown at first');
  await more.click();
  await seen('and more when they are wanted', () => until(async () => await page.getByRole(
    'region', { name: 'Attempts' }).getByRole('row').count() > 11));
}

async function read(page) {
  await page.getByRole('link', { name: 'Feeds' }).click();
  await seen('the feeds', () => page.getByRole('columnheader', { name: 'Last poll' })
    .waitFor());
  await seen('how far the partner has read one', () => page.getByRole('row').filter({
    hasText: 'prices' }).filter({ hasText: /(s ago|just now), up to 1 event before the newest\s*1 event/ }).waitFor());
  await seen('and what it promises', () => page.getByRole('row').filter({ hasText: 'prices' })
    .filter({ hasText: 'promised within 1 h, kept for 100 %' }).waitFor());
  await accessible(page, 'the feeds');
  await seen('and one of them is followed', () => until(() => held(page) === 1));
  const followed = /feeds\/(\w+)\//.exec([...page.held][0].url())[1];
  const statuses = () => page.addresses.filter((address) => /status$/.test(address)).length;
  const asked = statuses();
  publish({ type: 'late', subject: given.markup }, followed);
  await seen('a new event is seen', () => page.getByRole('row')
    .filter({ hasText: followed }).filter({ hasText: /(prices|orders)\s*[0-4] s ago/ }).waitFor());
  check(statuses() > asked, 'by a new status', statuses());
  await page.getByRole('link', { name: 'orders', exact: true }).click();
  await seen('the events of a feed', () => page.getByText('bad, <i>s</i>').waitFor());
  const fact = (name, value) => page.locator('dl.facts div').filter({ hasText: name })
    .filter({ hasText: value }).waitFor();
  await seen('with what it keeps', () => fact('Keeps', 'everything'));
  await seen('and what was read, but not by the page', () => fact('Last poll',
    'none yet'));
  await page.getByLabel(/^Types/).fill('good');
  await page.getByLabel(/^From/).fill('oldest');
  await page.getByRole('button', { name: 'Show events' }).click();
  await seen('by type', () => page.getByText('2 events, the newest first').waitFor());
  await page.getByLabel(/^From/).fill('newest');
  await page.getByLabel(/^At most/).fill('1');
  await page.getByRole('button', { name: 'Show events' }).click();
  await seen('the newest of a type, with a command for just these', () => page.getByText(
    /^1 event, the newest first.*curl .*after=\w+-1&limit=1'/).waitFor());
  await page.getByLabel(/^At most/).fill('20');
  await page.getByLabel(/^From/).fill('oldest');
  await page.getByLabel(/^Types/).fill('');
  await page.getByLabel(/^Subject/).fill('<i>s</i>');
  await page.getByRole('button', { name: 'Show events' }).click();
  await seen('by subject', () => page.getByText('1 event, the newest first').waitFor());
  await page.getByLabel(/^Subject/).fill('');
  await page.getByLabel(/^At most/).fill('2');
  await page.getByRole('button', { name: 'Show events' }).click();
  await seen('as many as wanted', () => page.getByText('2 events, the newest first').waitFor());
  await page.getByRole('button', { name: 'Next events' }).click();
  await seen('and the next ones', () => page.getByText('1 event, the newest first').waitFor());
  await page.getByLabel(/^At most/).fill('20');
  await page.getByLabel(/^From/).fill('newest');
  await page.getByRole('button', { name: 'Show events' }).click();
  await follows(page);
  check(/curl -H "Authorization: Bearer \$KEY" 'http/.test(await text(page)),
    'with a command that holds no key', await text(page));
  await acknowledge(page);
  await page.getByLabel(/^From/).fill('yesterday');
  await page.getByRole('button', { name: 'Show events' }).click();
  await seen('a bad time is refused by a sentence', () => failed(page,
    /"From" must be newest, oldest, a time such as/));
  check(await page.locator('details.event').count() === 0, 'and nothing old is shown');
  await page.getByLabel(/^From/).fill('latest');
  await page.getByRole('button', { name: 'Show events' }).click();
  await seen('the latest are the newest', () => page.locator('details.event').first().waitFor());
  await accessible(page, 'a feed');
}

let published = 0;

// The events of one request, by the command of an operator.
function publish(...events) {
  const feed = typeof events.at(-1) === 'string' ? events.pop() : 'orders';
  execFileSync(given.publish[0], [...given.publish.slice(1), feed], { input: events.map((event) =>
    JSON.stringify({ specversion: '1.0', id: `page-${published += 1}`, source: '/page',
      ...event })).join('\n') });
}

const held = (page) => page.held.size;

// Events come by themselves, by one request that is held at most, which the
// page lets go while it is hidden.
async function follows(page) {
  await seen('it waits for new events', () => page.getByText('New events appear here')
    .waitFor());
  publish({ type: 'live', subject: given.markup });
  await seen('which come by themselves', () => page.locator('details.event').first()
    .filter({ hasText: 'live' }).filter({ hasText: given.markup }).waitFor());
  await seen('and are counted', () => page.getByText('1 new event since').waitFor());
  await seen('by one request that waits', () => until(() => held(page) === 1));

  await hide(page, true);
  await seen('which ends while the page is hidden', () => until(() => held(page) === 0));
  publish({ type: 'hidden' }, { type: 'hidden' });
  await hide(page, false);
  await seen('and goes on where it was', () => page.getByText('3 new events since').waitFor());
  check(await page.locator('details.event').filter({ hasText: 'hidden' }).count() === 2,
    'with each event once');

  const refused = { status: 429, headers: { 'Retry-After': '1' },
    contentType: 'application/problem+json', body: '{"detail":"…"}' };
  await page.route('**/events?*wait=*', (route) => route.fulfill(refused), { times: 1 });
  publish({ type: 'limited' });
  await seen('a limit is told', () => page.getByText(/limit of requests is reached\. Trying/)
    .waitFor());
  publish({ type: 'limited' });
  await seen('and the events come when it allows them', () => page.locator('details.event')
    .filter({ hasText: 'limited' }).nth(1).waitFor());

  await page.route('**/events?*wait=*', (route) => route.fulfill({ status: 410,
    contentType: 'application/problem+json', body: JSON.stringify({
      type: 'urn:eventsync:problem:cursor-expired', latest: new URL(route.request().url())
        .searchParams.get('after') }) }), { times: 1 });
  publish({ type: 'gone' });
  await seen('events that retention took are told', () => page.getByText(
    'Some were deleted before').waitFor());

  await page.getByRole('button', { name: 'Stop following' }).click();
  await seen('it can be stopped', () => page.getByText('New events are not shown').waitFor());
  await seen('and then waits for nothing', () => until(() => held(page) === 0));
  publish({ type: 'paused' });
  await page.getByRole('button', { name: 'Follow new events' }).click();
  await seen('and goes on', () => page.locator('details.event').filter({ hasText: 'paused' })
    .waitFor());
  await page.locator('details.event').first().click();
  await seen('an event is shown as text', () => page.getByRole('button',
    { name: 'Copy the event' }).waitFor());
}

async function acknowledge(page) {
  await seen('a feed without checkpoints says so', () => page.getByText(
    'No consumer has acknowledged').waitFor());
  await page.getByRole('button', { name: 'Acknowledge up to here' }).first().click();
  await page.getByLabel('Name of the new one').fill('billing');
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  check(/new consumer "billing"/.test(page.asked.at(-1)), 'a new consumer needs a yes',
    page.asked);
  await seen('events are acknowledged', () => told(page, 'The checkpoint of billing is at'));
  await seen('which is listed', () => page.getByRole('row').filter({ hasText: 'billing' })
    .filter({ hasText: 'up to date' }).waitFor());
  await seen('and was moved now', () => page.getByRole('row').filter({ hasText: 'billing' })
    .filter({ hasText: /just now|\d s ago/ }).waitFor());
  check(/^Acknowledge events/.test(await focused(page)), 'the form keeps the focus',
    await focused(page));

  publish({ type: 'lag' });
  await seen('with its lag', () => page.getByRole('row').filter({ hasText: 'billing' })
    .filter({ hasText: /1 event, \d+ s/ }).waitFor({ timeout: 20000 }));
  await page.getByRole('button', { name: 'Acknowledge for billing' }).click();
  const cursor = await page.getByLabel('Cursor', { exact: true }).inputValue();
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await seen('up to the newest by a click', () => told(page, cursor));

  await page.getByText('Acknowledge events').click();
  await page.getByLabel('Consumer', { exact: true }).selectOption('billing');
  await page.getByLabel('Cursor', { exact: true }).fill(cursor.replace(/-.*/, '-1'));
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await seen('it is not moved back', () => failed(page, /further|behind|back/i));
  await page.getByLabel('If it is further already').selectOption('move it back');
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await seen('unless that is wanted', () => told(page, /is at .*-1\./));
  await page.getByText('Acknowledge events').click();
  await page.getByLabel('Cursor', { exact: true }).fill('nothing');
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await seen('a bad cursor is refused by a sentence', () => failed(page, /cursor/i));
  await page.getByLabel('Consumer', { exact: true }).selectOption('a new consumer');
  await page.getByLabel('Name of the new one').fill('biling');
  await page.getByLabel('Cursor', { exact: true }).fill(cursor);
  const asked = page.asked.length;
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await seen('a name that was mistyped', () => told(page, 'checkpoint of biling'));
  await page.getByRole('button', { name: 'Remove biling' }).click();
  await seen('can be removed again', () => told(page, 'checkpoint of biling is removed'));
  check(page.asked.length === asked + 2, 'each after a question', page.asked);
}

// A partner whose readers wait as often as they may.
async function crowded(browser) {
  const one = given.base.replace('/v1', '/one');
  const reader = new AbortController();
  fetch(`${one}/feeds/prices/events?from=latest&wait=60`, { signal: reader.signal,
    headers: { Authorization: `Bearer ${given.keys.read}` } }).catch(() => {});
  const page = await open(browser, { address: `${one}/dashboard`, clock: true });
  await signIn(page, given.keys.read);
  await page.getByRole('link', { name: 'Feeds' }).click();
  await page.getByRole('link', { name: 'orders', exact: true }).click();
  await seen('without a place to wait the page says so', () => page.getByText(
    /limit of requests is reached\. Trying/).waitFor());
  await page.clock.fastForward(60000);
  await seen('and asks without waiting', () => until(() => page.addresses.some((address) =>
    /wait=0$/.test(address))));
  publish({ type: 'crowd' });
  await page.clock.fastForward(6000);
  await seen('so that events come all the same', () => page.locator('details.event').first()
    .filter({ hasText: 'crowd' }).waitFor());
  reader.abort();
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  await page.context().close();
}

// Over plain http with a host name a browser has no clipboard of its own.
async function copies(browser) {
  const address = `${given.base.replace('127.0.0.1', 'events.test')}/dashboard`;
  const page = await open(browser, { address });
  check(await page.evaluate(() => !navigator.clipboard), 'there is no clipboard');
  await signIn(page, given.keys.read);
  await page.getByRole('link', { name: 'Feeds' }).click();
  await page.getByRole('link', { name: 'orders', exact: true }).click();
  await page.getByRole('button', { name: 'Copy curl' }).click();
  await seen('the command is copied all the same', () => page.getByRole('button',
    { name: 'Copied' }).waitFor());
  await page.getByLabel('Subject').focus();
  await page.keyboard.press('Control+V');
  check(/^curl -H .*events.test/.test(await page.getByLabel('Subject').inputValue()),
    'and can be pasted', await page.getByLabel('Subject').inputValue());
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  await page.context().close();
}

// A location that serves less, and lets nobody wait for long.
async function bare(browser) {
  const page = await open(browser, { address: `${given.base.replace('/v1', '/bare')}/dashboard` });
  await signIn(page, given.keys.read);
  await page.getByRole('link', { name: 'Feeds' }).click();
  await page.getByRole('link', { name: 'orders', exact: true }).click();
  await seen('a server without checkpoints says so', () => page.getByText(
    'keeps no checkpoints').waitFor());
  await seen('it waits as long as it may', () => until(() => page.addresses.some((address) =>
    /wait=1$/.test(address))));
  publish({ type: 'short' });
  await seen('and events come all the same', () => page.locator('details.event').first()
    .filter({ hasText: 'short' }).waitFor());
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  await page.context().close();
}

// What goes wrong beside the page, and that it comes back by itself.
async function outages(browser) {
  const page = await open(browser, { clock: true });
  const wait = () => page.clock.fastForward(20000);
  const live = page.getByText('Live', { exact: true });
  const problem = (status, headers) => (route) => route.fulfill({ status, headers,
    contentType: 'application/problem+json', body: '{"detail":"…"}' });
  await signIn(page, given.keys.leaving);
  await seen('a partner signs in', () => live.waitFor());

  await page.context().setOffline(true);
  await wait();
  await seen('an unreachable server is told', () => page.getByText(
    /cannot be reached\. Trying again in \d+ s/).waitFor());
  check(/ep_/.test(await text(page)), 'what was shown stays');
  await page.context().setOffline(false);
  await wait();
  await seen('and the page comes back by itself', () => live.waitFor());

  await page.route('**/status', problem(429, { 'Retry-After': '1' }), { times: 1 });
  await wait();
  await seen('so it does after a limit', () => page.getByText(/limit of requests is reached/)
    .waitFor());
  await wait();
  await seen('when it may ask again', () => live.waitFor());
  await page.route('**/status', problem(503, {}), { times: 1 });
  await wait();
  await seen('and after a failure', () => page.getByText(/server cannot answer now/)
    .waitFor());
  await wait();
  await seen('of the server', () => live.waitFor());

  execFileSync(given.revoke[0], given.revoke.slice(1));
  await wait();
  await seen('a revoked key is asked for again', () => page.getByLabel('Key or token')
    .waitFor({ timeout: 15000 }));
  await seen('with the reason', () => failed(page, 'expired or been revoked'));
  await page.context().close();
}

// Links sign in once, and leave neither the address bar nor a request with
// their secret in its URL.
async function links(browser) {
  const page = await open(browser, { address: given.links.good });
  await seen('a link signs in', () => page.getByRole('link', { name: given.endpoint })
    .waitFor());
  check(!/esl_/.test(page.url()), 'and has left the address bar', page.url());
  check(page.addresses.every((address) => !/esl_|esk_/.test(address)),
    'no address has its secret', page.addresses);
  check(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })
    + document.cookie) === '{}', 'nor has the browser\'s storage');
  await page.getByRole('link', { name: given.endpoint }).click();
  await seen('it may only read', () => page.getByText(/lacks the scope/).waitFor());
  await page.goto(given.links.wide.replace(/^[^#]*/, `${given.base}/dashboard`));
  await seen('a link in an open page signs in, too', () => page.getByRole('heading',
    { name: 'Endpoints' }).waitFor());
  await page.getByRole('link', { name: given.endpoint }).click();
  await seen('to what it may', () => page.getByRole('button', { name: 'Pause' }).waitFor());
  execFileSync(given.end[0], [...given.end.slice(1), /esl_([^_]+)/.exec(given.links.wide)[1]]);
  await seen('until its session is ended', () => failed(page, 'Ask for another link'));
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  await page.context().close();

  const offline = await open(browser);
  await offline.context().setOffline(true);
  await offline.evaluate((hash) => { location.hash = hash; }, given.links.late.replace(/.*#/, '#'));
  await seen('a link that meets no server is told', () => failed(offline, 'cannot be reached'));
  await offline.context().setOffline(false);
  await offline.getByRole('button', { name: 'Open the link again' }).click();
  await seen('and can be opened again', () => offline.getByRole('heading',
    { name: 'Endpoints' }).waitFor());
  await offline.context().close();

  for (const [name, address, words] of [
    ['a used link', given.links.good, 'opened already'],
    ['an expired link', given.links.expired, 'has expired'],
    ['a revoked link', given.links.revoked, 'was revoked'],
    ['a cut link', given.links.good.slice(0, -4), 'is not known'],
    ['a link with markup', `${given.base}/dashboard#link/${given.markup}`, 'is not known'],
    ['a malformed link', `${given.base}/dashboard#link/%`, 'is not known'],
  ]) {
    const other = await open(browser, { address });
    await seen(`${name} is told`, () => failed(other, words));
    check(!/link/.test(other.url()), 'and leaves the address bar', other.url());
    await seen('to a sign-in', () => other.getByLabel('Key or token').waitFor());
    check(other.faults.length === 0, 'without a fault in the page', other.faults);
    await other.context().close();
  }
}

async function refusals(browser) {
  const page = await open(browser, { colorScheme: 'dark' });
  await accessible(page, 'the sign-in, dark');
  await signIn(page, 'esk_wrong');
  await seen('a wrong key is told', () => failed(page, 'does not accept this key'));
  await signIn(page, given.keys.publish);
  await seen('a key without a scope is told', () => failed(page, /Not permitted/));
  await signIn(page, given.keys.read);
  await seen('a key that only reads sees the overview', () => page.getByRole('link',
    { name: given.endpoint }).waitFor());
  await accessible(page, 'the overview, dark');
  await page.getByRole('link', { name: given.endpoint }).click();
  await seen('and is told that it may not manage', () => page.getByText(/lacks the scope/)
    .waitFor());
  await seen('but sees how it is', () => page.locator('dl.facts').filter({ hasText:
    'Accepted, last hour' }).filter({ hasText: 'Behind' }).waitFor());
  check(await page.getByRole('button', { name: 'Pause' }).count() === 0,
    'and no action that it may not do');
  await page.getByRole('link', { name: 'Feeds' }).click();
  await page.getByRole('link', { name: 'orders', exact: true }).click();
  await page.locator('details.event').first().waitFor();
  check(await page.getByRole('link', { name: 'Feeds', exact: true }).getAttribute('aria-current')
    === 'page', 'a feed belongs to the feeds');
  await accessible(page, 'a feed, dark');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(page, given.keys.empty);
  await seen('a partner without endpoints is told what to do', () => page.getByText(
    'create one with POST /v1/endpoints').waitFor());
  await page.getByRole('button', { name: 'Sign out' }).click();
  await seen('it signs out', () => page.getByLabel('Key or token').waitFor());
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  check(page.addresses.every((a) => !a.includes('esk_')), 'no key in a URL');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage },
    { ...sessionStorage }, document.cookie]));
  check(kept === '[{},{},""]', 'and none in storage', kept);
  await page.context().close();
}

async function shots(browser) {
  for (const width of [360, 768, 1440]) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(browser, { viewport: { width, height: 900 }, colorScheme });
      await signIn(page, given.keys.partner);
      await page.getByRole('link', { name: given.endpoint }).waitFor();
      await page.waitForTimeout(300);
      const file = (name) => path.join(given.shots, `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path: file('overview'), fullPage: true });
      check(await page.evaluate(() => document.documentElement.scrollWidth
        <= window.innerWidth), `nothing is wider than ${width} pixels`);
      await page.getByRole('link', { name: given.endpoint }).click();
      await page.getByRole('img').first().waitFor();
      await page.waitForTimeout(300);
      await page.screenshot({ path: file('endpoint'), fullPage: true });
      check(await page.evaluate(() => document.documentElement.scrollWidth
        <= window.innerWidth), `nor is an endpoint, ${colorScheme}`);
      await page.getByRole('link', { name: 'Feeds' }).click();
      await page.getByRole('link', { name: 'orders', exact: true }).waitFor();
      await page.screenshot({ path: file('feeds'), fullPage: true });
      await page.getByRole('link', { name: 'orders', exact: true }).click();
      await page.locator('details.event').first().click();
      await page.getByText('Acknowledge events').click();
      await page.waitForTimeout(300);
      await page.screenshot({ path: file('feed'), fullPage: true });
      check(await page.evaluate(() => document.documentElement.scrollWidth
        <= window.innerWidth), `nor is a feed, ${colorScheme}`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.screenshot({ path: file('signin') });
      for (const who of ['read', 'empty']) {
        await signIn(page, given.keys[who]);
        await page.goto(`${page.url().replace(/#.*/, '')}#endpoint/${given.endpoint}`);
        if (who === 'empty') {
          await page.getByRole('link', { name: 'Endpoints', exact: true }).click();
        }
        await page.waitForTimeout(500);
        await page.screenshot({ path: file(who), fullPage: true });
        await page.getByRole('button', { name: 'Sign out' }).click();
      }
      await page.context().close();
    }
  }
}

run(async (browser) => {
  if (given.shots) {
    await shots(browser);
    return;
  }
  const page = await open(browser);
  await accessible(page, 'the sign-in');
  await partner(page);
  await act(page);
  await read(page);
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  await page.context().close();
  await bare(browser);
  await crowded(browser);
  await copies(browser);
  await links(browser);
  await outages(browser);
  await refusals(browser);
});
