// SPDX-License-Identifier: BSD-2-Clause

// Drives a page of the dashboard in Chromium, for the scripts that know the page:
// SCRIPT MODULES CHROMIUM, with JSON on standard input, of which `base` is the
// prefix of the location.  They print one JSON array per line: [true or false,
// name of the check, what was seen].
'use strict';

const fs = require('fs');
const path = require('path');

const [, , modules, executablePath] = process.argv;
const { chromium } = require(path.join(modules, 'playwright-core'));
const axe = fs.readFileSync(path.join(modules, 'axe-core', 'axe.min.js'), 'utf8');
const given = JSON.parse(fs.readFileSync(0, 'utf8'));

const check = (good, name, value) => console.log(JSON.stringify([!!good, name,
  value === undefined ? null : value]));

// A page that reports whatever goes wrong in it.
async function open(browser, options = {}) {
  const { address, clock, ...rest } = options;
  const context = await browser.newContext({ bypassCSP: false, ...rest });
  const page = await context.newPage();
  page.faults = [];
  page.addresses = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    // over plain http a browser says that it ignores the opener policy
    if (message.type() === 'error'
        && !/status of [45]|ERR_|Cross-Origin-Opener-Policy/.test(message.text())) {
      page.faults.push(message.text());
    }
  });
  page.held = new Set();         // requests that wait
  page.on('request', (request) => {
    page.addresses.push(request.url());
    if (/[?&]wait=/.test(request.url())) {
      page.held.add(request);
    }
  });
  for (const name of ['requestfinished', 'requestfailed']) {
    page.on(name, (request) => page.held.delete(request));
  }
  page.asked = [];               // questions of the browser, which are agreed to
  page.on('dialog', (dialog) => {
    page.asked.push(dialog.message());
    dialog[page.refuses ? 'dismiss' : 'accept']();
  });
  if (clock) {
    await page.clock.install();
  }
  await page.goto(address ?? `${given.base}/dashboard`);
  return page;
}

async function signIn(page, key) {
  await page.getByLabel('Key or token').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const text = (page) => page.locator('main').innerText();
const told = (page, words) => page.getByRole('status').filter({ hasText: words })
  .waitFor({ timeout: 10000 });
const failed = (page, words) => page.getByRole('alert').filter({ hasText: words })
  .waitFor({ timeout: 10000 });

async function until(condition) {
  for (let i = 0; i < 200; i += 1) {
    if (await condition()) {
      return true;
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  return false;
}

// As if another tab were in front of it.
async function hide(page, hidden) {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true,
      get: () => (value ? 'hidden' : 'visible') });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

async function seen(name, act) {
  try {
    const value = await act();
    check(value !== false, name, value === false ? 'false' : undefined);
  } catch (error) {
    check(false, name, String(error).slice(0, 600));
  }
}

// The rules of axe, run outside of the page's policy by the debugger.
async function accessible(page, name) {
  await seen(`${name}: axe finds nothing`, async () => {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    if (violations.length) {
      throw new Error(violations.map((v) => `${v.id}: ${v.nodes[0].html}`).join('; '));
    }
  });
}

// The text of what has the focus.
const focused = (page) => page.evaluate(() => document.activeElement.innerText
  ?? document.activeElement.tagName);

const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth
  <= window.innerWidth);

// Hands a browser to the function, and reports when it fails.
async function run(drive) {
  const browser = await chromium.launch({ executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage',
      '--host-resolver-rules=MAP events.test 127.0.0.1'] });
  try {
    await drive(browser);
  } catch (error) {
    check(false, 'the browser', String(error));
  }
  await browser.close();
}

module.exports = { accessible, check, failed, fits, focused, given, hide, open, run, seen, signIn,
  text, told, until };
