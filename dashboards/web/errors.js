// @ts-check
// The error list: what needs attention first, live, fast with ten thousand rows.

import { get } from "./api.js";
import { LOUD, STATES, stateMeaning, stateText } from "./badge.js";
import { appendTemplate, h, plain } from "./dom.js";
import * as format from "./format.js";
import { Grid } from "./grid.js";
import * as spark from "./spark.js";

const PAGE_ROWS = 500;
const ROWS_MAX = 20_000;
// The server streams the rows that need attention most; the rest is read anew this often.
const REFRESH_MS = 60_000;

const COLUMNS = [
  { key: "state", title: "State", hint: "1: what needs attention first" },
  { key: "count", title: "Count", hint: "2: events in the last hour" },
  { key: "rate", title: "Per min", hint: "3: events a minute now, against what is expected" },
  { key: "spark", title: "Last hour", hint: "4: newest peak" },
  { key: "first", title: "First seen", hint: "5: and the version that had it first" },
  { key: "last", title: "Last", hint: "6: last event" },
  { key: "versions", title: "Versions", hint: "7: newest first" },
  { key: "hosts", title: "Hosts", hint: "8: how many, or the one that has nearly all" },
  { key: "channel", title: "Channel", hint: "9: logger channel" },
  { key: "message", title: "Message", hint: "0: by text" },
];

/** @type {Record<string, (a: any, b: any) => number>} Orders, the useful end first. */
const ORDERS = {
  state: (a, b) => b.score - a.score,
  count: (a, b) => b.count - a.count,
  rate: (a, b) => b.rate_per_min - a.rate_per_min,
  spark: (a, b) => b.spark_max - a.spark_max,
  first: (a, b) => b.firstAt - a.firstAt,
  last: (a, b) => b.lastAt - a.lastAt,
  versions: (a, b) => compare(b.versions[0] ?? "", a.versions[0] ?? ""),
  hosts: (a, b) => b.hosts - a.hosts,
  channel: (a, b) => compare(a.channel, b.channel),
  message: (a, b) => compare(a.template, b.template),
};

/**
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

export class ErrorsPage {
  title = "Errors";

  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Map<string, any>} */
    this.byId = new Map();
    /** @type {Record<string, number>} signatures by state */
    this.counts = {};
    this.total = 0;
    this.loaded = false;
    /** @type {number[]} */
    this.deploys = [];
    this.now = 0;
    this.pending = 0;
    this.chipKey = "";
    this.abort = new AbortController();
    this.grid = new Grid({
      label: "Errors",
      columns: COLUMNS,
      make: () => this.makeRow(),
      open: (row) => app.go(`/s/${row.id}`),
      sort: (key) => this.sortBy(key),
    });
    this.search = /** @type {HTMLInputElement} */ (
      h("input", { type: "search", id: "search", placeholder: "Filter messages, channels, ids", "aria-label": "Filter", autocomplete: "off", spellcheck: "false", maxlength: 256, oninput: () => this.filterChanged() })
    );
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "States" });
    this.extra = h("div", { class: "chips" });
    this.summary = h("p", { class: "summary", role: "status" });
    this.deployLine = h("p", { class: "deploys" });
    this.resort = h("button", { type: "button", class: "resort", hidden: true, onclick: () => this.arrange() });
    this.empty = h("div", { class: "empty", hidden: true });
    this.element = h(
      "div",
      { class: "errors" },
      h("div", { class: "lead" }, this.summary, this.deployLine),
      h("div", { class: "tools" }, this.search, this.chips, this.extra, this.resort),
      this.grid.element,
      this.empty,
    );
  }

  /** @param {URLSearchParams} query */
  open(query) {
    this.query = query;
    this.search.value = query.get("q") ?? "";
    this.load();
    this.timer = setInterval(() => this.load(), REFRESH_MS);
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.later);
    this.abort.abort();
    this.grid.close();
  }

  /** Reads all rows, page by page; the first page is shown at once. */
  async load() {
    this.abort.abort();
    this.abort = new AbortController();
    const signal = this.abort.signal;
    const params = this.serverParams();
    try {
      this.readDeploys(signal);
      const first = await this.readPage({ ...params, limit: PAGE_ROWS }, signal);
      this.loaded = true;
      this.change();
      if (first.next_cursor) await this.readRest(params, signal);
      else this.forget(new Set(first.rows.map((/** @type {any} */ it) => it.id)));
    } catch (error) {
      if (!signal.aborted) this.app.failed(error, this.empty, () => this.load());
    }
  }

  /**
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   */
  async readPage(params, signal) {
    const page = await get("signatures", params, signal);
    this.clock(page.clock);
    this.total = page.total;
    for (const row of page.rows) this.put(row);
    return page;
  }

  /**
   * Reads all rows in the order of their ids, in which none is missed while scores change.
   * @param {Record<string, any>} params
   * @param {AbortSignal} signal
   */
  async readRest(params, signal) {
    /** @type {Set<string>} */
    const seen = new Set();
    let cursor = null;
    do {
      const page = await this.readPage({ ...params, sort: "id", limit: PAGE_ROWS, cursor }, signal);
      for (const row of page.rows) seen.add(row.id);
      cursor = page.next_cursor;
    } while (cursor && seen.size < ROWS_MAX);
    this.forget(seen);
  }

  /**
   * Drops the rows that the server no longer has.
   * @param {Set<string>} seen
   */
  forget(seen) {
    for (const id of this.byId.keys()) if (!seen.has(id)) this.byId.delete(id);
    this.change();
  }

  serverParams() {
    /** @type {Record<string, string | null>} */
    const params = {};
    for (const name of ["from", "to", "group", "service", "level"]) params[name] = this.query?.get(name) ?? null;
    return params;
  }

  /** @param {AbortSignal} signal */
  async readDeploys(signal) {
    const { markers } = await get("deploys", {}, signal).catch(() => ({ markers: [] }));
    this.deploys = markers.map((/** @type {any} */ it) => format.millis(it.at));
    const last = markers[markers.length - 1];
    this.deployLine.replaceChildren();
    if (!last) return;
    const where = last.group && last.group !== "all" ? ` to ${last.group}` : "";
    const what = last.version ? format.shortVersion(last.version) : last.id;
    const ago = h("span", { class: "ago", "data-at": String(format.millis(last.at)) });
    this.deployLine.append(h("span", { class: "tick-mark", "aria-hidden": "true" }), h("span", { title: `${last.id}, ${format.stamp(last.at)}` }, `Last ${last.kind.replace("_", " ")}: ${what}${where}, ${format.hour(last.at)} `), ago);
    this.ages();
    this.grid.paint(true);
  }

  /** @param {string | null} clock */
  clock(clock) {
    if (clock) this.now = format.millis(clock);
    this.ages();
  }

  ages() {
    for (const it of this.deployLine.querySelectorAll(".ago")) {
      const at = Number(it.getAttribute("data-at"));
      it.textContent = this.now >= at ? `(${format.span((this.now - at) / 1000)} ago)` : "";
    }
  }

  /** @param {any} row */
  put(row) {
    const old = this.byId.get(row.id);
    // An answer that was on its way while newer events came must not take them back.
    if (old && old.total > row.total) return;
    row.firstAt = format.millis(row.first_seen);
    row.lastAt = format.millis(row.last_seen);
    row.bars = spark.unpack(row.spark);
    row.text = old?.text ?? `${row.template}\n${row.channel}\n${row.exception ?? ""}\n${row.main_host ?? ""}\n${row.owner ?? ""}\n${row.id}`.toLowerCase();
    this.byId.set(row.id, row);
  }

  /**
   * @param {string} kind
   * @param {any} data
   */
  event(kind, data) {
    if (kind === "reset") this.load();
    if (kind === "deploy") this.readDeploys(this.abort.signal);
    if (kind === "health" && data.clock) {
      this.clock(data.clock);
      this.grid.paint(true);
    }
    if (kind === "health") this.say(this.grid.rows.length);
    // A fixed range and a question that the server filters are not what the stream shows.
    if (kind !== "delta" || !this.loaded || Object.values(this.serverParams()).some(Boolean)) return;
    this.clock(data.clock);
    this.total = Math.max(data.total, this.byId.size);
    for (const row of data.rows) this.put(row);
    this.pending += data.rows.length;
    this.change();
  }

  /** Shows new values in place, and moves rows only when nobody points at them. */
  change() {
    if (!this.grid.busy()) {
      this.arrange();
      return;
    }
    this.grid.rows = this.grid.rows.map((row) => this.byId.get(row.id) ?? row);
    this.grid.paint(true);
    this.resort.hidden = this.pending === 0;
    this.resort.textContent = `${this.pending} changes: sort again`;
    this.chipsChanged();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.change(), 2100);
  }

  /** Filters and sorts. */
  arrange() {
    const { state, channel, version, sort, up } = this.view();
    const text = this.search.value.trim().toLowerCase();
    const rows = [];
    for (const row of this.byId.values()) {
      if (state.length > 0 && !state.includes(row.state)) continue;
      if (channel && row.channel !== channel) continue;
      if (version && !row.versions.includes(version)) continue;
      if (text && !row.text.includes(text)) continue;
      rows.push(row);
    }
    const order = ORDERS[sort] ?? ORDERS.state;
    const sign = up ? -1 : 1;
    rows.sort((a, b) => sign * order(a, b) || b.score - a.score || compare(a.id, b.id));
    this.pending = 0;
    this.resort.hidden = true;
    this.grid.sorted(sort, up);
    this.grid.show(rows);
    this.chipsChanged();
    this.say(rows.length);
  }

  view() {
    const query = this.query ?? new URLSearchParams();
    return {
      state: (query.get("state") ?? "").split(",").filter(Boolean),
      channel: query.get("channel"),
      version: query.get("version"),
      sort: query.get("sort") ?? "state",
      up: query.get("dir") === "up",
    };
  }

  /** @param {number} shown */
  say(shown) {
    const all = this.byId.size;
    const loud = LOUD.map((state) => [state, this.counts[state] ?? 0]).filter(([, n]) => Number(n) > 0);
    const words = { new: "new", spike: "up", regressed: "worse than before the deploy", resurfaced: "back" };
    const parts = loud.map(([state, n]) => `${n} ${words[/** @type {keyof words} */ (state)]}`);
    const loudTotal = loud.reduce((sum, [, n]) => sum + Number(n), 0);
    this.summary.replaceChildren();
    if (!this.loaded) return;
    this.explain(shown, all);
    if (all === 0) return;
    const filtered = shown === all ? "" : `; ${format.count(shown)} of ${format.count(all)} shown`;
    if (loudTotal === 0 && !this.app.believable()) {
      // A quiet list proves nothing while data is late.
      this.summary.append(h("strong", { class: "loud" }, "Cannot tell"), ": data is late or incomplete");
      return;
    }
    this.summary.append(
      h("strong", { class: loudTotal > 0 ? "loud" : "calm" }, loudTotal > 0 ? `${format.count(loudTotal)} need attention` : "Nothing needs attention"),
      loudTotal > 0 ? `: ${parts.join(", ")}${filtered}` : `: ${format.count(this.total)} known signatures${filtered}`,
    );
  }

  /**
   * @param {number} shown
   * @param {number} all
   */
  explain(shown, all) {
    this.empty.hidden = shown > 0;
    this.grid.element.hidden = shown === 0;
    if (shown > 0) return;
    const none = all === 0;
    const what = none
      ? this.app.health?.clock
        ? ["No errors", "Records are read, and none of them is an error so far."]
        : ["No data yet", "Not one record has been read. The Pipeline page says what the sources do."]
      : ["Nothing matches", "No signature fits the filter."];
    const action = none ? h("a", { href: "/pipeline" }, "Pipeline") : h("button", { type: "button", onclick: () => this.clear() }, "Clear the filter");
    this.empty.replaceChildren(h("h2", null, what[0]), h("p", null, what[1]), action);
  }

  clear() {
    this.search.value = "";
    this.app.setQuery({ q: null, state: null, channel: null, version: null, level: null, group: null, service: null, from: null, to: null });
  }

  chipsChanged() {
    const { state, channel, version } = this.view();
    const counts = this.counts;
    for (const it of Object.keys(counts)) counts[it] = 0;
    for (const row of this.byId.values()) counts[row.state] = (counts[row.state] ?? 0) + 1;
    const chips = Object.keys(STATES).filter((it) => counts[it] || state.includes(it));
    const key = `${chips.map((it) => it + counts[it]).join()}|${state}|${channel}|${version}|${location.search}`;
    if (key === this.chipKey) return;
    this.chipKey = key;
    const focused = document.activeElement?.getAttribute("data-state");
    this.chips.replaceChildren(
      ...chips.map((it) => h("button", { type: "button", class: `chip s-${it}`, "data-state": it, "aria-pressed": String(state.includes(it)), title: stateMeaning(it), onclick: () => this.toggle(it) }, STATES[it], h("b", null, format.count(counts[it] ?? 0)))),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.chips.querySelector(`[data-state="${focused}"]`))?.focus();
    const extra = [];
    for (const name of ["channel", "version", "group", "level", "service", "from", "to"]) {
      const value = this.query?.get(name);
      if (value) extra.push(h("button", { type: "button", class: "chip on", "aria-label": `Remove ${name} ${value}`, onclick: () => this.app.setQuery({ [name]: null }) }, `${name}: ${name === "version" ? format.shortVersion(value) : value}`, h("b", { "aria-hidden": "true" }, "✕")));
    }
    this.extra.replaceChildren(...extra);
  }

  /** @param {string} state */
  toggle(state) {
    const states = this.view().state;
    const next = states.includes(state) ? states.filter((it) => it !== state) : [...states, state];
    this.app.setQuery({ state: next.join(",") || null });
  }

  filterChanged() {
    this.app.setQuery({ q: this.search.value || null }, true);
    this.arrange();
  }

  /** @param {string} key */
  sortBy(key) {
    const { sort, up } = this.view();
    const flip = sort === key && !up;
    this.app.setQuery({ sort: key === "state" ? null : key, dir: flip ? "up" : null });
  }

  /** @param {URLSearchParams} query */
  queryChanged(query) {
    const before = JSON.stringify(this.serverParams());
    this.query = query;
    this.search.value = query.get("q") ?? "";
    this.arrange();
    if (before !== JSON.stringify(this.serverParams())) {
      this.byId.clear();
      this.loaded = false;
      this.load();
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const digit = "1234567890".indexOf(event.key);
    if (digit >= 0) this.sortBy(COLUMNS[digit].key);
    else if (event.key === "/") this.search.focus();
    else if (event.key === "j") this.grid.move(1);
    else if (event.key === "k") this.grid.move(-1);
    else if (event.key === "o" || event.key === "Enter") this.grid.openCurrent();
    else return false;
    if (event.key === "j" || event.key === "k") this.grid.element.focus({ preventScroll: true });
    return true;
  }

  makeRow() {
    const state = h("span", { class: "badge" });
    const chart = spark.make();
    const rateNow = h("span", { class: "num" });
    const change = h("span", { class: "change" });
    const firstAge = h("span", { class: "num" });
    const firstVersion = h("span", { class: "ver" });
    const recency = h("span", { class: "recency", "aria-hidden": "true" });
    const lastAge = h("span", { class: "num" });
    const message = h("a", { class: "message", tabindex: "-1" });
    /** @type {Record<string, HTMLElement>} */
    const cells = {};
    for (const [at, column] of COLUMNS.entries()) cells[column.key] = h("div", { class: `c c-${column.key}`, role: "gridcell", "aria-colindex": at + 1 });
    cells.state.append(state);
    cells.rate.append(rateNow, change);
    cells.spark.append(chart.element);
    cells.first.append(firstAge, firstVersion);
    cells.last.append(recency, lastAge);
    cells.message.append(message);
    const element = h("div", { class: "row" }, Object.values(cells));
    /** @type {string | undefined} */
    let template;
    const paint = (/** @type {any} */ row) => {
      state.className = `badge s-${row.state}`;
      state.textContent = stateText(row);
      state.title = `${stateMeaning(row.state)}; score ${row.score.toFixed(0)}`;
      cells.count.textContent = format.count(row.count);
      rateNow.textContent = format.rate(row.rate_per_min);
      this.paintChange(change, row);
      chart.bars.setAttribute("d", spark.path(row.bars, 255));
      chart.deploys.setAttribute("d", spark.ticks(this.deploys, this.now));
      chart.element.setAttribute("aria-label", spark.words(row.bars, format.rate(row.rate_per_min)));
      firstAge.textContent = format.span((this.now - row.firstAt) / 1000);
      firstVersion.textContent = plain(format.shortVersion(row.first_version));
      cells.first.title = `${format.stamp(row.firstAt)}, on ${plain(row.first_version)}`;
      const age = (this.now - row.lastAt) / 1000;
      recency.className = `recency r${[60, 150, 300, 600].filter((it) => age > it).length}`;
      lastAge.textContent = format.span(age);
      cells.last.title = format.stamp(row.lastAt);
      cells.versions.textContent = versions(row.versions);
      cells.versions.title = plain(row.versions.join(", "));
      cells.hosts.textContent = row.main_host ? plain(row.main_host).slice(0, 40) : format.count(row.hosts);
      cells.hosts.classList.toggle("one", Boolean(row.main_host));
      cells.channel.textContent = plain(row.channel).slice(0, 60);
      if (template === row.template && message.getAttribute("href") === `/s/${row.id}`) return;
      template = row.template;
      message.setAttribute("href", `/s/${row.id}`);
      message.title = plain(row.template);
      message.replaceChildren();
      appendTemplate(message, row.template.slice(0, 400));
    };
    return { element, paint };
  }

  /**
   * @param {HTMLElement} element
   * @param {any} row
   */
  paintChange(element, row) {
    const expected = row.expected_per_min;
    element.className = "change";
    if (!expected || row.rate_per_min === 0) {
      element.textContent = "";
      return;
    }
    const times = row.rate_per_min / expected;
    element.textContent = times > 0.5 && times < 2 ? "" : format.ratio(times);
    element.classList.toggle("much", times >= 2);
    element.title = `expected ${format.rate(expected)} a minute`;
  }
}

/** @param {string[]} all */
function versions(all) {
  const newest = plain(format.shortVersion(all[0] ?? "")).slice(0, 30);
  return all.length > 1 ? `${newest} +${all.length - 1}` : newest;
}
