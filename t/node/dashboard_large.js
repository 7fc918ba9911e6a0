// SPDX-License-Identifier: BSD-2-Clause

// The dashboard of a partner with many endpoints and attempts: dashboard_large.js
// MODULES CHROMIUM, with JSON on standard input: { base, key, endpoints, attempts,
// figures }.  What the page holds is checked.  With `figures`, the last check has
// how long it took, in milliseconds: { paint, list, busy, longest }.
'use strict';

const { check, given, open, run, seen, signIn, until } = require('./browser.js');

const rows = (page) => page.locator('tbody tr').count();
const nodes = (page) => page.evaluate(() => document.querySelectorAll('*').length);

// The time of the first paint, and that for which tasks of 50 ms and more have
// kept the page from an answer.
const watch = () => {
  globalThis.busy = 0;
  globalThis.longest = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    globalThis.busy += entry.duration;
    globalThis.longest = Math.max(globalThis.longest, entry.duration);
  })).observe({ type: 'longtask', buffered: true });
};

async function large(page) {
  const began = Date.now();
  await signIn(page, given.key);
  await seen('the endpoints are listed', () => page.getByText(
    `${given.endpoints.toLocaleString('en')} endpoints, those that need attention first`).waitFor());
  const list = Date.now() - began;
  check(await rows(page) === 100, 'a hundred of them are in the page', await rows(page));
  const small = await nodes(page);
  check(small < 3000, 'which holds few elements', small);

  await page.getByRole('button', { name: 'Show 100 more' }).click();
  await seen('more come when asked for', () => until(async () => await rows(page) === 200));
  const last = given.endpoints;
  await page.getByLabel(/^Find/).fill(`host-${last}.example`);
  await seen('one is found', () => until(async () => await rows(page) === 1));
  await page.getByLabel(/^Find/).fill('nothing of that kind');
  await seen('or none', () => page.getByText('No endpoint is like that').waitFor());
  await page.getByLabel(/^Find/).fill(`HOST-${last}.example active`);
  await seen('whatever case is used', () => until(async () => await rows(page) === 1));

  await page.locator('tbody a').click();
  await seen('its attempts are listed', () => page.getByText('50 attempts, the newest first')
    .waitFor());
  check(await page.getByText(`of ${given.attempts} attempts`).count() > 0, 'and all are counted');
  const asked = page.addresses.filter((address) => /attempts\?/.test(address));
  check(asked.every((address) => /limit=50$/.test(address)), 'fifty are asked for', asked);
  check(await nodes(page) < 3000, 'the page holds few elements', await nodes(page));
  await page.getByRole('button', { name: 'Show the next' }).click();
  await seen('older ones come when asked for', () => page.getByRole('button',
    { name: 'Back to the first' }).waitFor());
  check(await page.getByText('<b>busy</b>').count() > 0, 'an answer is text');
  check(await nodes(page) < 3000, 'and take the place of the newer ones', await nodes(page));

  return list;
}

run(async (browser) => {
  const page = await open(browser, { address: 'about:blank' });
  await page.addInitScript(watch);
  await page.goto(`${given.base}/dashboard`);
  await page.getByLabel('Key or token').waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName(
    'first-contentful-paint')[0]?.startTime ?? null);
  const list = await large(page);
  const { busy, longest } = await page.evaluate(() => ({ busy: globalThis.busy,
    longest: globalThis.longest }));
  check(page.faults.length === 0, 'without a fault in the page', page.faults);
  check(true, 'figures', given.figures ? { paint, list, busy, longest } : null);
});
