// @ts-check
// Channels: what each of them sends, what was cut, which have gone silent.

import { mark } from "./badge.js";
import { appendTemplate, h } from "./dom.js";
import * as format from "./format.js";
import { ListPage, table } from "./listpage.js";
import * as spark from "./spark.js";

export class ChannelsPage extends ListPage {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    super(app, "Channels", ["channels", "deploys", "doctor"]);
  }

  /**
   * @param {any[]} answers
   * @returns {Node[]}
   */
  draw([{ clock, channels }, { markers }, doctor]) {
    if (channels.length === 0) return [h("div", { class: "empty" }, h("h2", null, "No channel yet"), h("p", null, "No record has named one."))];
    const now = clock ? format.millis(clock) : 0;
    const deploys = markers.map((/** @type {any} */ it) => format.millis(it.at));
    const rank = (/** @type {any} */ it) => (it.silent ? 2 : it.capped_now ? 1 : 0);
    channels.sort((/** @type {any} */ a, /** @type {any} */ b) => rank(b) - rank(a) || b.rate_per_min - a.rate_per_min);
    const silent = channels.filter((/** @type {any} */ it) => it.silent).length;
    const capped = channels.filter((/** @type {any} */ it) => it.capped_now).length;
    const bytes = channels.reduce((/** @type {number} */ sum, /** @type {any} */ it) => sum + it.bytes_per_day, 0);
    return [
      h("p", { class: "summary" }, h("strong", { class: silent + capped > 0 ? "loud" : "calm" }, silent + capped > 0 ? `${silent} silent, ${capped} over the cap` : "All as usual"), `: ${format.count(channels.length)} channels, ${format.bytes(bytes)} a day at the present rate`),
      table("Channels", ["State", "Channel", ["Per min", "n"], ["Expected", "n"], "Last hour", ["Read", "n"], ["Counted", "n"], ["Capped", "n"], ["Rejected", "n"], ["A day", "n"], "Last", "Levels"], channels.map((/** @type {any} */ it) => this.row(it, now, deploys))),
      h("p", { class: "muted" }, "A capped record is counted by channel, version, group, level and host; only its signature and sample are given up."),
      this.doctor(doctor.channels),
    ];
  }

  /**
   * What varies in the texts of the channels that use most of them.
   * @param {any[]} channels
   */
  doctor(channels) {
    const rows = channels.slice(0, 20).flatMap((it) => (it.varying.length > 0 ? it.varying : [null]).slice(0, 3).map((/** @type {any} */ varying, /** @type {number} */ at) => this.varying(it, varying, at === 0)));
    return h(
      "section",
      { class: "panel" },
      h("h3", null, "Many texts for one thing ", h("small", null, "the number of texts is an estimate from kept examples")),
      rows.length === 0 ? h("p", { class: "none" }, "None.") : table("What varies", ["Channel", ["Texts", "n"], ["Masked", "n"], ["Signatures", "n"], ["Word", "n"], "Kind", "Values", "Write", "Message"], rows),
    );
  }

  /**
   * @param {any} channel
   * @param {any} varying
   * @param {boolean} first
   */
  varying(channel, varying, first) {
    const n = (/** @type {number | string} */ value) => h("td", { class: "n" }, typeof value === "number" ? format.count(value) : value);
    const message = h("a", varying ? { href: `/s/${varying.signature}` } : {});
    if (varying) appendTemplate(message, varying.template);
    return h(
      "tr",
      null,
      h("td", null, first ? channel.channel : ""),
      n(first ? channel.distinct_texts_estimated : ""),
      n(first ? channel.fingerprints : ""),
      n(first ? channel.signatures : ""),
      n(varying ? String(varying.position) : ""),
      h("td", { title: varying?.advice ?? null }, varying ? (varying.learned ? `${varying.kind} learned` : varying.kind) : ""),
      h("td", { class: "muted" }, varying ? varying.values.join(", ") : ""),
      h("td", null, varying ? h("code", null, varying.placeholder) : ""),
      h("td", { class: "template" }, message),
    );
  }

  /**
   * @param {any} it
   * @param {number} now
   * @param {number[]} deploys
   */
  row(it, now, deploys) {
    const chart = spark.make();
    const max = Math.max(0, ...it.spark);
    chart.bars.setAttribute("d", spark.path(it.spark, max));
    chart.deploys.setAttribute("d", spark.ticks(deploys, now));
    chart.element.setAttribute("aria-label", spark.words(it.spark, format.rate(it.rate_per_min)));
    const state = it.silent ? mark("bad", "SILENT") : it.capped_now ? mark("warn", "CAPPED") : mark("none", "ok");
    const levels = it.levels.slice(0, 3).map((/** @type {any} */ level) => `${level.value} ${format.count(level.events)}`);
    const n = (/** @type {string} */ text, /** @type {boolean} */ loud = false) => h("td", { class: loud ? "n much" : "n" }, text);
    return h(
      "tr",
      null,
      h("td", null, state),
      h("td", null, h("a", { href: `/?channel=${encodeURIComponent(it.channel)}` }, it.channel)),
      n(format.rate(it.rate_per_min)),
      n(it.expected_per_min === null ? "–" : format.rate(it.expected_per_min)),
      h("td", null, chart.element),
      n(format.count(it.read)),
      n(format.count(it.counted)),
      n(it.capped ? format.count(it.capped) : "0", it.capped > 0),
      n(it.rejected ? format.count(it.rejected) : "0", it.rejected > 0),
      n(format.bytes(it.bytes_per_day)),
      h("td", { title: format.stamp(it.last_seen) }, format.span((now - format.millis(it.last_seen)) / 1000)),
      h("td", { class: "muted" }, levels.join(", ")),
    );
  }
}
