// SPDX-License-Identifier: BSD-2-Clause

// Drives the page for operators (browser.js), given { base, keys, polls, empty,
// stopped, dead, revoke, shots }: `empty` is the page of a store without partners.
'use strict';

const path = require('path');
const { execFileSync } = require('child_process');
const { accessible, check, failed, fits, given, open, run, seen, signIn, text }
  = require('./browser.js');

// Lets the page's next question come at once, and waits for the answer.
async function later(page, address) {
  const answer = page.waitForResponse((response) => response.url().includes(address),
    { timeout: 30000 });
  await page.clock.fastForward(90000);
  await answer;
}

// Has the page see another answer than the server's: `change` changes it.
async function pretend(page, address, change) {
  await page.route(address, async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    change(json);
    await route.fulfill({ response, json });
  });
}

// A poll that is refused, so that its partner is limited for another minute.
const refused = () => fetch(given.polls, { headers: {
  Authorization: `Bearer ${given.keys.partner}` } });

const row = (page, name) => page.getByRole('row').filter({ has: page.getByRole('link',
  { name, exact: true }) });

async function list(page) {
  await refused();
  await signIn(page, given.keys.admin);
  await seen('partners are listed', () => page.getByRole('link', { name: 'acme' }).waitFor());
  const first = await page.getByRole('row').nth(1).innerText();
  check(/^acme/.test(first), 'who fails is first', first);
  check(/failing/.test(first) && /1 stopped/.test(first), 'with the reason', first);
  check(/poll \(\d+ so far\)/.test(first), 'and the limit', first);
  check(/ % of \d+ attempts/.test(first), 'and the success', first);
  check(/\t1\t/.test(first), 'and the dead letter', first);
  const words = await text(page);
  check(/Of 62 partners: 1 failing\./.test(words), 'all are counted', words.slice(0, 300));
  check(await page.getByRole('row').count() === 51, 'a page has fifty');
  await accessible(page, 'the list');

  await page.getByRole('button', { name: 'Next page' }).click();
  await seen('the next page', () => page.getByRole('link', { name: 'more69' }).waitFor());
  check(await page.getByRole('row').count() === 13, 'has the rest');
  await page.getByRole('button', { name: 'First page' }).click();
  await seen('and the first one', () => page.getByRole('link', { name: 'acme' }).waitFor());

  await page.getByLabel('Search by name').fill('more1');
  await seen('a search', () => page.getByText('10 partners', { exact: true }).waitFor());
  await seen('finds names', () => row(page, 'more15').getByText('1 paused').waitFor());
  check(/3 events/.test(await row(page, 'more15').innerText()), 'with their backlog');
  check(/disabled/.test(await row(page, 'more11').innerText()), 'and who is disabled');
  await page.getByLabel('Search by name').fill('<b>nobody</b>');
  await seen('or says that there is none, as text', () => page.getByText(
    'No partner has “<b>nobody</b>” in its name.').waitFor());
  await page.route('**/partners?*', (route) => route.fulfill({ status: 429,
    headers: { 'Retry-After': '1' }, contentType: 'application/problem+json', body: '{}' }),
  { times: 1 });
  await page.getByLabel('Search by name').fill('more2');
  await seen('a search that is refused is told', () => failed(page,
    'The limit of requests is reached.'));
  await page.getByLabel('Search by name').fill('');
  await page.getByLabel('Order').selectOption('longest behind');
  await seen('another order', () => page.getByRole('row').nth(2).getByText('more15')
    .waitFor());
  await page.getByLabel('Order').selectOption('name');
  await seen('and by name', () => page.getByRole('row').nth(2).getByText('more10').waitFor());
}

async function details(page) {
  await refused();
  await page.getByRole('link', { name: 'acme' }).click();
  await seen('a partner', () => page.getByRole('heading', { name: 'acme' }).waitFor());
  await seen('has its endpoints', () => page.getByRole('rowheader')
    .filter({ hasText: given.dead }).waitFor());
  await seen('and why one is stopped', () => page.getByText(
    `${given.stopped} is stopped: 410 Gone`).waitFor());
  await seen('and its dead letters', () => page.getByText('1 dead letter is kept').waitFor());
  await seen('and its limits', () => page.getByText(/slowed by the limit poll/).waitFor());
  await page.getByText('Runbook EventsyncEndpointStopped').click();
  const command = page.getByText(`eventsyncctl endpoint resume ${given.stopped}`);
  await seen('and what to do', () => command.waitFor());
  await accessible(page, 'a partner');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy the commands' }).first().click();
  check((await page.evaluate(() => navigator.clipboard.readText()))
    .includes(`resume ${given.stopped}`), 'which can be copied');
  await later(page, '/partners/acme/status');
  await seen('and stays open', () => command.waitFor());
  check((await text(page)).includes('orders') && !/esk_|whsec_/.test(await text(page)),
    'with its feeds, without secrets');
  await page.getByRole('link', { name: 'All partners' }).click();
  await seen('the list again', () => page.getByRole('heading', { name: 'Partners' }).waitFor());
}

// By keys only: from the head of the page to a partner and back.
async function keyboard(page) {
  await page.getByLabel('Search by name').focus();
  await page.keyboard.type('acme');
  await seen('by keys one finds', () => page.getByText('1 partner', { exact: true })
    .waitFor());
  const place = () => page.evaluate(() => document.activeElement.textContent);
  for (let i = 0; i < 9 && await place() !== 'acme'; i += 1) {
    await page.keyboard.press('Tab');
  }
  check(await place() === 'acme', 'a partner', await place());
  await later(page, '/partners?');
  await later(page, '/partners?');
  check(await place() === 'acme', 'which keeps the focus', await place());
  await page.keyboard.press('Enter');
  await seen('and opens it', () => page.getByRole('heading', { name: 'acme' }).waitFor());
}

async function store(page) {
  await page.getByRole('link', { name: 'Store' }).click();
  await seen('the store', () => page.getByRole('rowheader', { name: 'delivery' }).waitFor());
  const words = await text(page);
  check(/seen .*ago/.test(words), 'has a dispatcher', words);
  check(/free of/.test(words), 'and a disk', words);
  check(/2 feeds with 5 events/.test(words), 'and feeds', words);
  await accessible(page, 'the store');

  await pretend(page, '**/store', (answer) => {
    answer.dispatcher = new Date(Date.parse(answer.time) - 61000).toISOString();
    answer.clock = { off: -90, synchronized: false };
    answer.disk.free = answer.disk.size / 50;
    answer.environments[0].used = answer.map_limit * 0.9;
    answer.environments[1].readers = answer.environments[1].readers_max;
    answer.feeds.listed[0].overdue_since = '2020-01-01T00:00:00Z';
    answer.feeds.listed[1].held_since = '2020-01-01T00:00:00Z';
  });
  await later(page, '/store');
  for (const [alert, words] of [
    ['DispatcherDown', 'The dispatcher was last seen 1 min 1 s ago. No webhook is sent.'],
    ['ClockWrong', "The clock is 1 min 30 s behind the store's time."],
    ['ClockUnsynchronized', 'Nothing keeps the clock of this machine right.'],
    ['DiskNearlyFull', /The disk is nearly full: .* are free\./],
    ['StoreNearlyFull', 'The environment log is nearly full.'],
    ['ReadersNearlyFull', 'The reader table of registry is nearly full.'],
    ['RetentionNotApplied', 'Retention of the feed orders is not applied.'],
  ]) {
    await seen(`${alert} is told`, () => page.getByRole('listitem').filter({ hasText: words })
      .getByText(`Runbook Eventsync${alert}`).waitFor());
  }
  await seen('a legal hold is told', () => page.getByText('held since ').waitFor());
  await page.getByText('Runbook EventsyncRetentionNotApplied').click();
  await seen('with what to do', () => page.getByText('eventsyncctl feed show orders')
    .waitFor());
  await accessible(page, 'a store with troubles');
  await page.getByRole('link', { name: 'Partners' }).click();
  await page.getByRole('link', { name: 'What to do' }).first().click();
  await seen('from the list, too', () => page.getByRole('heading', { name: 'Store' })
    .waitFor());
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await later(page, '/store');
  await seen('and when it is well again', () => page.getByText(/dispatcher was last seen/)
    .waitFor({ state: 'detached' }));
}

// Everything that may be wrong with a partner.
async function troubled(page) {
  await pretend(page, '**/partners/more15/status', (answer) => {
    const [endpoint] = answer.endpoints;
    const copy = (name, state, more) => ({ ...endpoint, name, state, deliveries: [], ...more });
    answer.overview.retention = { expires: null, near: true, missed: 7 };
    answer.overview.limited = ['poll', 'publish'];
    answer.overview.refused = 12;
    answer.endpoints = [endpoint, copy('ep_a', 'failing'), copy('ep_b', 'stalled'),
      copy('ep_c', 'unverified'), copy('ep_d', 'active', { deliveries:
        [{ ...endpoint.deliveries[0], seconds: 300 }], figures: { hour: { attempts: 9,
        success: 1, fresh: { kept: 6, missed: 3, excused: 0, share: 0.66, worst: 9 } } } })];
    answer.feeds[0].fresh_within = 5;
    endpoint.state = 'paused';
  });
  await page.goto(`${given.base}/dashboard#partner/more15`);
  await page.reload();
  await signIn(page, given.keys.admin);
  for (const [alert, words] of [
    ['EndpointFailing', 'ep_a is failing.'],
    ['EndpointStalled', 'ep_b is stalled: an event makes no progress.'],
    ['EndpointUnverified', 'ep_c has not agreed to be sent events.'],
    ['EventsLost', 'Retention has deleted 7 events before they were delivered.'],
    ['RetentionNear', 'Retention will soon delete the next event.'],
    ['BacklogGrowing', 'An endpoint is 5 min behind.'],
    ['FeedNotFresh', 'ep_d got 3 events of the last hour later than promised.'],
    ['PartnerLimited', 'slowed by the limit poll, publish: 12 times so far.'],
  ]) {
    await seen(`${alert} is told`, () => page.getByRole('listitem').filter({ hasText: words })
      .getByText(`Runbook Eventsync${alert}`).waitFor());
  }
  await seen('and what a feed promises', () => page.getByText(/promised within 5 s/)
    .waitFor());
  await page.getByText('Runbook EventsyncPartnerLimited').click();
  await seen('with the name of the partner', () => page.getByText(
    'eventsyncctl partner show more15').waitFor());
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}

// What goes wrong beside the page, and that it comes back by itself.
async function outages(browser) {
  const page = await open(browser, { clock: true });
  const live = page.getByText('Live', { exact: true });
  await signIn(page, given.keys.leaving);
  await seen('an operator signs in', () => live.waitFor());
  await page.context().setOffline(true);
  await page.clock.fastForward(90000);
  await seen('an unreachable server is told', () => page.getByText(
    /cannot be reached\. Trying again in \d+ s/).waitFor());
  check(/acme/.test(await text(page)), 'what was shown stays');
  await page.context().setOffline(false);
  await page.clock.fastForward(90000);
  await seen('and the page comes back by itself', () => live.waitFor());
  await page.goto(`${given.base}/dashboard#partner/nobody`);
  await page.reload();
  await signIn(page, given.keys.leaving);
  await seen('a partner that does not exist is told', () => page.getByText(
    /The partner does not exist\. Trying again/).waitFor());
  await page.getByRole('link', { name: 'Partners', exact: true }).click();
  await seen('and others are shown', () => page.getByRole('link', { name: 'acme' }).waitFor());
  execFileSync(given.revoke[0], given.revoke.slice(1));
  await seen('a revoked key is asked for again', async () => {
    while (!await page.getByLabel('Key or token').isVisible()) {
      await page.clock.fastForward(90000);
      await page.waitForTimeout(100);
    }
  });
  await seen('with the reason', () => failed(page, 'expired or been revoked'));
  await page.context().close();
}

async function refusals(browser) {
  const page = await open(browser, { colorScheme: 'dark', viewport: { width: 360,
    height: 800 } });
  await accessible(page, 'the sign-in, dark');
  await signIn(page, 'esk_wrong');
  await seen('a wrong key is told', () => failed(page, 'does not accept this key'));
  await signIn(page, given.keys.partner);
  await seen("a partner's key is told its scope", () => failed(page,
    'Not permitted: The key lacks the scope "admin".'));
  await signIn(page, given.keys.admin);
  await seen('an operator sees the list', () => page.getByRole('link', { name: 'acme' })
    .waitFor());
  await accessible(page, 'the list, dark and narrow');
  check(await fits(page), 'which fits on a phone');
  const well = await row(page, 'more20').innerText();
  check(/failing/.test(await row(page, 'acme').innerText()) && well.trim() === 'more20',
    'and leaves out what is well', well);
  await page.getByRole('link', { name: 'acme' }).click();
  await seen('so does', () => page.getByText('1 dead letter is kept').waitFor());
  await accessible(page, 'a partner, dark and narrow');
  check(await fits(page), 'a partner');
  await page.getByRole('link', { name: 'Store' }).click();
  await seen('and', () => page.getByRole('rowheader', { name: 'log' }).waitFor());
  await accessible(page, 'the store, dark and narrow');
  check(await fits(page), 'the store');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await seen('it signs out', () => page.getByLabel('Key or token').waitFor());
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  check(page.addresses.every((a) => !a.includes('esk_')), 'no key in a URL');
  await page.context().close();
}

async function empty(browser) {
  const page = await open(browser, { address: given.empty });
  await signIn(page, 'any');
  await seen('a store without partners says so', () => page.getByText(
    'There are no partners. Create one with').waitFor());
  await seen('and that no dispatcher has run', () => page.getByText(
    'No dispatcher has run on this store.').first().waitFor());
  await accessible(page, 'a list of none');
  await page.getByRole('link', { name: 'Store' }).click();
  await seen('it has no feeds', () => page.getByText('There are no feeds.').waitFor());
  await accessible(page, 'an empty store');
  await page.context().close();
}

async function shots(browser) {
  for (const width of [360, 768, 1440]) {
    for (const colorScheme of ['light', 'dark']) {
      const look = { viewport: { width, height: 900 }, colorScheme };
      const page = await open(browser, look);
      const shot = async (name, on = page) => {
        await on.waitForTimeout(300);
        await on.screenshot({ path: path.join(given.shots,
          `${name}-${width}-${colorScheme}.png`), fullPage: true });
        check(await fits(on), `${name} is not wider than ${width} pixels`);
      };
      await shot('operator-signin');
      await signIn(page, given.keys.admin);
      await page.getByRole('link', { name: 'acme' }).waitFor();
      await shot('operator-partners');
      await page.getByRole('link', { name: 'acme' }).click();
      await page.getByText('Runbook EventsyncEndpointStopped').click();
      await shot('operator-partner');
      await page.getByRole('link', { name: 'Store' }).click();
      await page.getByRole('rowheader', { name: 'log' }).waitFor();
      await shot('operator-store');
      await page.context().close();
      const none = await open(browser, { ...look, address: given.empty });
      await signIn(none, 'any');
      await none.getByText('There are no partners').waitFor();
      await shot('operator-empty', none);
      await none.getByRole('link', { name: 'Store' }).click();
      await none.getByText('There are no feeds').waitFor();
      await shot('operator-empty-store', none);
      await none.context().close();
    }
  }
}

run(async (browser) => {
  if (given.shots) {
    await shots(browser);
    return;
  }
  const page = await open(browser, { clock: true });
  await accessible(page, 'the sign-in');
  await list(page);
  await details(page);
  await keyboard(page);
  await store(page);
  await troubled(page);
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  await page.context().close();
  await empty(browser);
  await refusals(browser);
  await outages(browser);
});
