// @ts-check
// The monitor itself: is it current, does it lose anything, do its alerts arrive.

import { mark } from "./badge.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { ListPage, table } from "./listpage.js";
import { panel } from "./signature.js";

/** @type {Record<string, [string, string]>} */
const FRESHNESS = {
  fresh: ["good", "current and complete"],
  degraded: ["warn", "current, something is cut short"],
  empty: ["none", "nothing read yet"],
  stale: ["bad", "late or incomplete"],
};

export class PipelinePage extends ListPage {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    super(app, "Pipeline", ["status", "accounting"]);
  }

  /**
   * @param {any[]} answers
   * @returns {Node[]}
   */
  draw([status, books]) {
    const [kind, text] = FRESHNESS[status.freshness.level] ?? FRESHNESS.stale;
    const reasons = [...status.not_ready, ...status.freshness.reasons];
    return [
      h("p", { class: "summary" }, mark(kind, text), reasons.length > 0 ? ` ${reasons.join("; ")}` : ""),
      this.books(books.total),
      panel("Partitions", status.partitions.length === 0 ? h("p", { class: "none" }, "None assigned.") : this.partitions(status.partitions, books.partitions)),
      h("div", { class: "columns" }, h("div", null, this.latency(status.stages), this.targets(status.targets)), h("div", null, this.store(status), this.rejected(books.total))),
    ];
  }

  /** @param {any} total */
  books(total) {
    const rejected = sum(total.rejected);
    const term = (/** @type {string} */ name, /** @type {number} */ value) => h("span", { class: "term" }, h("b", null, format.exact(value)), name);
    return h("section", { class: "panel books" }, h("h3", null, "Nothing is lost"), h("p", { class: "equation" }, term("read", total.read), h("i", null, "="), term("counted", total.counted), h("i", null, "+"), term("capped", total.capped), h("i", null, "+"), term("rejected", rejected), mark(total.conserved ? "good" : "bad", total.conserved ? "holds" : "does not hold")));
  }

  /**
   * @param {any[]} partitions
   * @param {any[]} books
   */
  partitions(partitions, books) {
    const find = (/** @type {any} */ it) => books.find((/** @type {any} */ book) => book.topic === it.topic && book.partition === it.partition && book.source === it.source);
    const row = (/** @type {any} */ it) => {
      const book = find(it);
      const state = it.problem ? mark("bad", it.problem) : !it.assigned ? mark("bad", "unread") : it.idle ? mark("none", "idle") : it.lag_seconds > 60 ? mark("bad", "late") : mark("good", "read");
      const n = (/** @type {string} */ text, /** @type {boolean} */ loud = false) => h("td", { class: loud ? "n much" : "n" }, text);
      return h("tr", null, h("td", null, state), h("td", null, it.source), h("td", null, it.topic), n(String(it.partition)), n(it.lag_seconds === null ? "–" : format.latency(it.lag_seconds), it.lag_seconds > 60), n(it.lag_records === null ? "–" : format.count(it.lag_records)), n(format.exact(it.next)), h("td", null, it.watermark ? format.stamp(it.watermark) : "–"), n(book ? format.count(book.gaps) : "–", book?.gaps > 0), n(book ? format.count(book.duplicates) : "–"));
    };
    return table("Partitions", ["State", "Source", "Topic", ["No.", "n"], ["Lag", "n"], ["Behind", "n"], ["Position", "n"], "Complete up to", ["Lost", "n"], ["Repeats", "n"]], partitions.map(row));
  }

  /** @param {any[]} stages */
  latency(stages) {
    /** @type {Record<string, string>} */
    const names = { arrive: "to arrive", count: "to be counted", alert: "to the alert" };
    const row = (/** @type {any} */ it) => h("tr", null, h("td", null, names[it.stage] ?? it.stage), h("td", { class: "n" }, format.latency(it.p50_seconds)), h("td", { class: "n" }, format.latency(it.p99_seconds)), h("td", { class: "n" }, format.latency(it.max_seconds)), h("td", { class: "n" }, format.count(it.records)));
    return panel("Time from the event", stages.length === 0 ? h("p", { class: "none" }, "Nothing measured yet.") : table("Time from the event", ["Stage", ["Half", "n"], ["99 %", "n"], ["Slowest", "n"], ["Records", "n"]], stages.map(row)));
  }

  /** @param {any[]} targets */
  targets(targets) {
    const row = (/** @type {any} */ it) => h("tr", null, h("td", null, it.problem ? mark("bad", "failing") : mark("good", "ok")), h("td", null, it.kind, h("small", null, it.problem || it.address)), h("td", { class: "n" }, format.count(it.sent)), h("td", { class: it.errors ? "n much" : "n" }, format.count(it.errors)), h("td", { class: "n" }, format.count(it.queued)), h("td", null, it.success_at ? format.stamp(it.success_at).slice(5, 19) : "never"));
    return panel("Where alerts go", targets.length === 0 ? h("p", { class: "none" }, "Nowhere: no Alertmanager is configured.") : table("Where alerts go", ["State", "Target", ["Sent", "n"], ["Errors", "n"], ["Waiting", "n"], "Last success"], targets.map(row)));
  }

  /** @param {any} status */
  store(status) {
    const { store, rules } = status;
    const pair = (/** @type {string} */ name, /** @type {string | Node} */ value) => [h("dt", null, name), h("dd", null, value)];
    return panel(
      "Store, rules and program",
      h(
        "dl",
        { class: "pairs" },
        pair("Store", store.problem ? mark("bad", store.problem) : `${store.path}, ${format.bytes(store.size_bytes)}`),
        pair("Last checkpoint", store.checkpoint_at ? `${format.stamp(store.checkpoint_at)}, ${store.checkpoint_millis ?? "?"} ms` : "none yet"),
        pair("Rules", h("code", null, rules.hash || "none")),
        pair("Rules loaded", rules.problem ? mark("bad", rules.problem) : rules.loaded_at ? format.stamp(rules.loaded_at) : "–"),
        pair("Program", `${status.version} (${status.revision || "unknown"})`),
        pair("Mode", status.mode),
        pair("Started", format.stamp(status.started_at)),
      ),
    );
  }

  /** @param {any} total */
  rejected(total) {
    const lines = [...Object.entries(total.rejected), ...Object.entries(total.flags)].filter(([, n]) => Number(n) > 0);
    const row = (/** @type {[string, any]} */ [name, n]) => h("tr", null, h("td", null, name.replaceAll("_", " ")), h("td", { class: "n" }, format.count(n)), h("td", { class: "muted" }, name in total.rejected ? "rejected" : "counted all the same"));
    return panel("Odd records", lines.length === 0 ? h("p", { class: "none" }, "None.") : table("Odd records", ["What", ["Records", "n"], ""], lines.map(row)));
  }
}

/** @param {Record<string, number>} values */
function sum(values) {
  return Object.values(values).reduce((a, b) => a + b, 0);
}
