// SPDX-License-Identifier: BSD-2-Clause

// Keeps dashboards open: dashboard_open.js MODULES CHROMIUM, with JSON on standard
// input: { base, keys, seconds, publish }.  Each page is signed in with one key.
// It reports when all show their endpoints, and again at the end.
'use strict';

const { check, given, open, run, signIn } = require('./browser.js');

run(async (browser) => {
  const pages = [];
  for (const key of given.keys) {
    const page = await open(browser);
    await signIn(page, key);
    await page.getByText(/endpoints?, those that need attention first/).waitFor();
    pages.push(page);
  }
  check(true, 'all are open');
  await new Promise((resolve) => { setTimeout(resolve, given.seconds * 1000); });
  const asked = pages.reduce((sum, page) => sum + page.addresses.length, 0);
  check(pages.every((page) => page.faults.length === 0), 'the end', asked);
});
