// @ts-check
// One signature: the verdict, since when, where, and what it looks like.

import { get } from "./api.js";
import { severityBadge, stateBadge } from "./badge.js";
import * as chart from "./chart.js";
import { appendTemplate, appendText, h } from "./dom.js";
import * as format from "./format.js";

const REFRESH_MS = 10_000;
const RANGES = [["1h", 3_600], ["6h", 21_600], ["24h", 86_400], ["7d", 604_800]];

export class SignaturePage {
  /**
   * @param {import("./app.js").App} app
   * @param {string} id
   */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    this.title = `Signature ${id.slice(0, 8)}`;
    this.abort = new AbortController();
    this.element = h("div", { class: "page signature" }, h("p", { class: "wait" }, "Reading…"));
  }

  /** @param {URLSearchParams} query */
  open(query) {
    this.query = query;
    this.load();
    this.timer = setInterval(() => this.load(), REFRESH_MS);
    this.observer = new ResizeObserver(() => this.drawChart());
    this.observer.observe(this.element);
  }

  close() {
    clearInterval(this.timer);
    this.observer?.disconnect();
    this.abort.abort();
  }

  /** @param {URLSearchParams} query */
  queryChanged(query) {
    this.query = query;
    this.load();
  }

  by() {
    return this.query?.get("by") === "group" ? "group" : "version";
  }

  range() {
    return RANGES.find(([name]) => name === this.query?.get("range")) ?? RANGES[1];
  }

  async load() {
    // A selection is being read or copied; it would be lost.
    if (this.detail && window.getSelection()?.toString()) return;
    const signal = this.abort.signal;
    try {
      const [detail, deploys] = await Promise.all([get(`signatures/${this.id}`, {}, signal), get("deploys", {}, signal)]);
      this.detail = detail;
      this.markers = deploys.markers;
      const clock = this.app.health?.clock ?? detail.summary.last_seen;
      const to = Math.ceil(format.millis(clock) / 1000);
      const from = to - Number(this.range()[1]);
      this.history = await get(`signatures/${this.id}/history`, { by: this.by(), from, to }, signal);
      this.draw(clock);
    } catch (error) {
      if (!signal.aborted) this.app.failed(error, this.element, () => this.load());
    }
  }

  event(/** @type {string} */ kind) {
    if (kind === "reset" || kind === "deploy") this.load();
  }

  /** @param {string} clock */
  draw(clock) {
    const { summary } = this.detail;
    const opened = [...this.element.querySelectorAll("details")].map((it) => it.open);
    const focus = document.activeElement?.getAttribute("data-focus");
    const template = h("h2", { class: "template" });
    appendTemplate(template, summary.template);
    this.figure = h("figure", { class: "figure" });
    this.element.replaceChildren(
      h("div", { class: "sig-head" }, stateBadge(summary), h("a", { class: "pill", href: `/?channel=${encodeURIComponent(summary.channel)}` }, summary.channel), h("span", { class: "pill" }, summary.level), summary.exception ? h("span", { class: "pill" }, summary.exception) : null, h("code", { class: "id", title: summary.id }, summary.id.slice(0, 8)), this.copyButton(summary.id)),
      template,
      this.moved(),
      this.renamed(),
      h("p", { class: "verdict" }, this.detail.verdict),
      this.facts(summary, clock),
      h("section", { class: "panel wide" }, this.chartTools(), this.figure),
      h("div", { class: "columns" }, h("div", null, this.releases(), this.hosts(), ...this.detail.facets.map((/** @type {any} */ it) => this.facet(it)), this.identity()), h("div", null, this.samples(), this.alerts())),
    );
    [...this.element.querySelectorAll("details")].forEach((it, at) => (it.open = opened[at] ?? it.open));
    if (focus) /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-focus="${focus}"]`))?.focus();
    this.drawChart();
  }

  /** @param {string} id */
  copyButton(id) {
    const button = h("button", { type: "button", class: "quiet", "data-focus": "copy" }, "Copy link");
    button.addEventListener("click", async () => {
      await navigator.clipboard?.writeText(`${location.origin}/s/${id}`).catch(() => {});
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy link"), 1500);
    });
    return button;
  }

  /**
   * @param {any} summary
   * @param {string} clock
   */
  facts(summary, clock) {
    const ago = (/** @type {string} */ at) => `${format.span((format.millis(clock) - format.millis(at)) / 1000)} ago`;
    const expected = summary.expected_per_min === null ? "no baseline yet" : `expected ${format.rate(summary.expected_per_min)}`;
    const fact = (/** @type {string} */ name, /** @type {string} */ value, /** @type {string} */ note, /** @type {string} */ title = "") => h("div", { title: title || null }, h("dt", null, name), h("dd", null, value, h("small", null, note)));
    return h(
      "dl",
      { class: "facts" },
      fact("Now", `${format.rate(summary.rate_per_min)} a minute`, expected),
      fact("Last hour", format.count(summary.count), `${format.count(summary.total)} in all`),
      fact("First seen", ago(summary.first_seen), `on ${summary.first_version || "unknown"}`, format.stamp(summary.first_seen)),
      fact("Last seen", ago(summary.last_seen), format.stamp(summary.last_seen).slice(11)),
      fact("Hosts", summary.main_host ?? format.count(summary.hosts), summary.main_host ? "has nearly all" : this.detail.hosts.exact ? "exact" : "estimated"),
      summary.owner ? fact("Owner", summary.owner, "by the rules") : null,
      summary.noise ? fact("Known noise", summary.noise, "nobody is told") : null,
      summary.ticket ? h("div", null, h("dt", null, "Ticket"), h("dd", null, ticketLink(summary.ticket))) : null,
    );
  }

  chartTools() {
    const choice = (/** @type {string} */ name, /** @type {string} */ value, /** @type {string} */ text, /** @type {boolean} */ on) => h("button", { type: "button", "aria-pressed": String(on), "data-focus": `${name}-${value}`, onclick: () => this.app.setQuery({ [name]: value }) }, text);
    return h(
      "div",
      { class: "panel-head" },
      h("h3", null, "Events a minute"),
      h("div", { class: "seg", role: "group", "aria-label": "Split" }, choice("by", "version", "By version", this.by() === "version"), choice("by", "group", "By group", this.by() === "group")),
      h("div", { class: "seg", role: "group", "aria-label": "Range" }, RANGES.map(([name]) => choice("range", String(name), String(name), this.range()[0] === name))),
    );
  }

  drawChart() {
    if (!this.figure || !this.history) return;
    const width = Math.max(280, Math.floor(this.figure.clientWidth));
    const empty = this.history.series.every((/** @type {any} */ it) => it.counts.every((/** @type {number} */ n) => n === 0));
    this.figure.replaceChildren(empty ? h("p", { class: "none" }, "No events in this range.") : chart.draw(this.history, this.markers, width), h("figcaption", null, chart.legend(this.history)));
  }

  releases() {
    const rows = this.detail.releases;
    return panel("By version and group", rows.length === 0 ? none() : h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "By version and group" },
      h("table", null, h("thead", null, h("tr", null, ["Version", "Group", "Events", "First seen", "Last seen"].map((it, at) => h("th", { scope: "col", class: at === 2 ? "n" : null }, it)))), h("tbody", null, rows.map((/** @type {any} */ it) => h("tr", null, h("td", null, it.version), h("td", null, it.group), h("td", { class: "n" }, format.count(it.events)), h("td", { title: format.stamp(it.first_seen) }, format.dayHour(it.first_seen)), h("td", { title: format.stamp(it.last_seen) }, format.dayHour(it.last_seen)))))),
    ));
  }

  hosts() {
    const { top, distinct, exact } = this.detail.hosts;
    return panel(`Hosts: ${exact ? "" : "about "}${format.count(distinct)}`, top.length === 0 ? none() : shares(top, 0));
  }

  /** @param {any} facet */
  facet(facet) {
    return panel(facet.name, shares(facet.top, facet.other_events));
  }

  identity() {
    const { frame, joined, summary } = this.detail;
    const why = h("p", null, "Lines are one signature when channel, severity, exception, top frame and the message with its variable parts masked are equal. Masked parts are ", h("span", { class: "mask" }, "<tinted>"), ".");
    const list = h("dl", { class: "pairs" }, h("dt", null, "Id"), h("dd", null, h("code", null, summary.id)), frame ? [h("dt", null, "Top frame"), h("dd", null, h("code", null, frame))] : [], joined.flatMap((/** @type {string[]} */ [name, value]) => [h("dt", null, name), h("dd", null, h("code", null, value))]));
    return panel("Why these lines are one signature", why, list, ...this.merge());
  }

  /** What was merged into it, and why. */
  merge() {
    const { merge } = this.detail;
    if (!merge) return [];
    const more = merge.merged - merge.texts.length;
    const texts = merge.texts.map((/** @type {any} */ it) => {
      const text = h("span", { class: "template" });
      appendTemplate(text, it.template);
      return h("li", null, h("code", { title: it.id }, it.id.slice(0, 8)), " ", text, h("small", null, ` ${it.why}; since ${format.dayHour(it.since)}`));
    });
    const own = h("span", { class: "template" });
    appendTemplate(own, merge.own_template);
    return [
      h("p", null, `${format.count(merge.merged)} other ${merge.merged === 1 ? "text belongs" : "texts belong"} to it; the id is that of the oldest: `, own),
      h("ul", { class: "plain-list" }, merge.reasons.map((/** @type {string} */ it) => h("li", null, it))),
      h("details", null, h("summary", null, "Merged texts"), h("ul", { class: "plain-list" }, texts), more > 0 ? h("p", { class: "muted" }, `and ${format.count(more)} more`) : null),
      h("p", { class: "muted" }, "Not the same problem? A [[signature.split]] in the rules keeps a text apart."),
    ];
  }

  /** Says of what it is a new wording. */
  renamed() {
    const { renamed_from } = this.detail;
    if (!renamed_from) return null;
    const link = h("a", { class: "template", href: `/s/${renamed_from.id}` });
    appendTemplate(link, renamed_from.template);
    return h("p", { class: "muted" }, "Renamed from ", link, ": the same message in other words, or from a file that moved.");
  }

  /** Says that an old link led here. */
  moved() {
    const { alias, summary } = this.detail;
    if (!alias) return null;
    return h("p", { class: "note" }, "Signature ", h("code", null, alias.slice(0, 8)), " turned out to be the same problem as ", h("a", { href: `/s/${summary.id}` }, summary.id.slice(0, 8)), "; this is its page.");
  }

  samples() {
    const all = this.detail.samples;
    if (all.length === 0) return panel("Samples", none());
    return panel("Samples, redacted", ...all.map((/** @type {any} */ it, /** @type {number} */ at) => this.sample(it, at === 0 && all.length > 1 ? "First" : at === 1 ? "Newest" : "")));
  }

  /**
   * @param {any} sample
   * @param {string} name
   */
  sample(sample, name) {
    const message = h("pre", { tabindex: "0", role: "region", "aria-label": "Message" });
    appendText(message, sample.message, true);
    const head = h("p", { class: "sample-head" }, name ? h("b", null, name) : null, h("time", null, format.stamp(sample.at)), h("span", null, sample.host), h("span", null, sample.version), sample.request_id ? h("code", null, sample.request_id) : null);
    const trace = sample.trace ? h("details", null, h("summary", null, "Trace"), this.trace(sample.trace)) : null;
    return h("div", { class: "sample" }, head, message, sample.url ? h("p", { class: "url" }, sample.url) : null, trace);
  }

  /** @param {string} text */
  trace(text) {
    const element = h("pre", { class: "trace", tabindex: "0", role: "region", "aria-label": "Trace" });
    appendText(element, text, true);
    return element;
  }

  alerts() {
    const all = this.detail.alerts;
    if (all.length === 0) return panel("Alerts", none());
    return panel("Alerts", h("ul", { class: "plain-list" }, all.map((/** @type {any} */ it) => h("li", null, severityBadge(it.severity), ` ${it.summary} `, h("small", null, `${it.state}, since ${format.dayHour(it.started_at)}`)))));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "u") history.length > 1 ? history.back() : this.app.go("/");
    else if (event.key === "e") this.element.querySelectorAll("details").forEach((it) => (it.open = !it.open));
    else if (event.key === "c") /** @type {HTMLElement | null} */ (this.element.querySelector("[data-focus=copy]"))?.click();
    else return false;
    return true;
  }
}

/**
 * A link that leaves the page; only to the web, whatever a rule says.
 * @param {string} url
 */
function ticketLink(url) {
  const name = url.replace(/[?#].*$/, "").split("/").filter(Boolean).at(-1) ?? url;
  return /^https?:\/\//.test(url) ? h("a", { href: url, rel: "noreferrer" }, name) : name;
}

function none() {
  return h("p", { class: "none" }, "None.");
}

/**
 * @param {string} title
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
 */
export function panel(title, ...children) {
  return h("section", { class: "panel" }, h("h3", null, title), ...children);
}

/**
 * Bars of shares.
 * @param {{ value: string, events: number }[]} values
 * @param {number} other
 */
function shares(values, other) {
  const total = values.reduce((sum, it) => sum + it.events, other) || 1;
  const line = (/** @type {string} */ name, /** @type {number} */ events) => {
    const share = (100 * events) / total;
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    bar.style.inlineSize = `${share}%`;
    return h("li", null, h("span", { class: "name" }, name || "-"), h("span", { class: "track" }, bar), h("span", { class: "n" }, format.count(events)), h("span", { class: "n pct" }, `${share < 1 && share > 0 ? "<1" : Math.round(share)} %`));
  };
  return h("ul", { class: "shares" }, values.map((it) => line(it.value, it.events)), other > 0 ? line("all others", other) : null);
}
