// Opens pages in a real Chromium, takes their pictures and reports what is wrong with them. It starts no server.
//
//   FATALMONITOR_URL=http://127.0.0.1:PORT FATALMONITOR_TEST_CHROMIUM=/usr/bin/chromium node run.mjs [PAGES.json] [OUT]
//
// PAGES.json (default: pages.json beside this file) is a list of {name, path, wait?, text?, ignore?, window?}: `wait` is a
// selector that must be visible first, `text` must stand on the page, `ignore` names axe rules to leave out, with the
// reason beside it, `window` takes what the window shows instead of the whole page. OUT (default: shots beside this file) gets NAME-VIEW.png. Every page is opened in every view of VIEWS.
// One line for each page and view, then `N passed, N failed`; exit 1 when something failed.

import { AxeBuilder } from '@axe-core/playwright';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = dirname(fileURLToPath(import.meta.url));
const VIEWS = [
  { view: 'wide', options: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } },
  { view: 'dark', options: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' } },
  { view: 'phone', options: { viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true } },
];
const PATIENCE_MS = 20_000;

function setting(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`run.mjs: ${name} is not set`);
    process.exit(2);
  }
  return value;
}

// What a page does wrong by itself: errors of its script, failed or foreign requests.
function listen(page, origin) {
  const faults = [];
  page.on('pageerror', (error) => faults.push(`script error: ${error.message}`));
  page.on('console', (line) => {
    if (line.type() === 'error') faults.push(`console: ${line.text()}`);
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url)) faults.push(`foreign request: ${url}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) faults.push(`${response.status()} for ${response.url()}`);
  });
  return faults;
}

async function visit(browser, origin, { name, path, wait, text, ignore, window: isWindow }, { view, options }, out) {
  const context = await browser.newContext({ ...options, serviceWorkers: 'block', reducedMotion: 'reduce' });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const faults = listen(page, origin);
  try {
    await page.goto(origin + path, { waitUntil: 'load' });
    if (wait) await page.locator(wait).first().waitFor({ state: 'visible' });
    if (text) await page.getByText(text).first().waitFor({ state: 'visible' });
    await page.screenshot({ path: join(out, `${name}-${view}.png`), fullPage: !isWindow });
    if (!(await page.title())) faults.push('the page has no title');
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (overflow > 0) faults.push(`${overflow} pixels wider than the window`);
    const { violations } = await new AxeBuilder({ page }).disableRules((ignore ?? []).map(({ rule }) => rule)).analyze();
    for (const { id, impact, help, nodes } of violations) {
      faults.push(`axe ${id} (${impact}): ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')}`);
    }
  } catch (error) {
    faults.push(error.message.split('\n')[0]);
    await page.screenshot({ path: join(out, `${name}-${view}-failed.png`) }).catch(() => {});
  } finally {
    await context.close();
  }
  return faults;
}

const origin = new URL(setting('FATALMONITOR_URL')).origin;
const executablePath = setting('FATALMONITOR_TEST_CHROMIUM');
const pages = JSON.parse(await readFile(process.argv[2] ?? join(HERE, 'pages.json'), 'utf8'));
const out = process.argv[3] ?? join(HERE, 'shots');
await mkdir(out, { recursive: true });

// Chromium refuses its own sandbox to root, as which CI runs; the pages are ours.
const root = process.getuid?.() === 0;
const args = ['--disable-background-networking', '--disable-component-update'];
const browser = await chromium.launch({ executablePath, args, chromiumSandbox: !root });
let [passed, failed] = [0, 0];
try {
  for (const entry of pages) {
    for (const view of VIEWS) {
      const faults = await visit(browser, origin, entry, view, out);
      if (faults.length) failed += 1;
      else passed += 1;
      console.log(`${faults.length ? 'FAILED' : 'ok'}  ${entry.name}-${view.view}  ${entry.path}`);
      for (const fault of faults) console.log(`        ${fault}`);
    }
  }
} finally {
  await browser.close();
}
if (pages.length === 0) failed += 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
