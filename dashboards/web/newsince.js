// @ts-check
// What first appears, gets worse or disappears after a version.

import { get } from "./api.js";
import { appendTemplate, h } from "./dom.js";
import * as format from "./format.js";

export class NewPage {
  title = "New since";

  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    this.abort = new AbortController();
    this.since = /** @type {HTMLSelectElement} */ (h("select", { id: "since", onchange: () => this.chosen() }));
    this.group = /** @type {HTMLSelectElement} */ (h("select", { id: "group", onchange: () => this.chosen() }));
    this.answer = h("div", { class: "answer", "aria-live": "polite" });
    this.element = h(
      "div",
      { class: "page new" },
      h("form", { class: "tools", onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, h("label", { for: "since" }, "Since"), this.since, h("label", { for: "group" }, "in"), this.group),
      this.answer,
    );
  }

  /** @param {URLSearchParams} query */
  open(query) {
    this.query = query;
    this.load();
  }

  close() {
    this.abort.abort();
  }

  /** @param {URLSearchParams} query */
  queryChanged(query) {
    this.query = query;
    this.load();
  }

  event(/** @type {string} */ kind) {
    if (kind === "deploy" || kind === "reset") this.load();
  }

  async load() {
    const signal = this.abort.signal;
    try {
      const { releases } = await get("releases", {}, signal);
      if (releases.length === 0 && !this.query?.get("since")) {
        this.answer.replaceChildren(h("div", { class: "empty" }, h("h2", null, "No version yet"), h("p", null, "No record and no deploy marker has named a version.")));
        return;
      }
      const since = this.choose(releases);
      this.show(await get("new", { since, group: this.query?.get("group"), until: this.query?.get("until") }, signal));
    } catch (error) {
      if (!signal.aborted) this.app.failed(error, this.answer, () => this.load());
    }
  }

  /** @param {any[]} releases */
  choose(releases) {
    const versions = [...new Set(releases.map((it) => it.version))];
    const groups = [...new Set(releases.map((it) => it.group))].sort();
    // The version before the newest one is what people compare with after a deploy.
    const since = this.query?.get("since") ?? versions[1] ?? versions[0];
    if (!versions.includes(since)) versions.push(since);
    const group = this.query?.get("group") ?? "";
    this.since.replaceChildren(...versions.map((it) => option(it, it, it === since)));
    this.group.replaceChildren(option("", "all groups", group === ""), ...groups.map((it) => option(it, it, it === group)));
    return since;
  }

  chosen() {
    this.app.setQuery({ since: this.since.value, group: this.group.value || null });
  }

  /** @param {any} answer */
  show(answer) {
    const side = (/** @type {string} */ name, /** @type {string[]} */ versions, /** @type {number} */ events, /** @type {number} */ exposure) =>
      h("div", { class: "side" }, h("h3", null, name), h("p", null, versions.join(", ") || "nothing"), h("p", { class: "muted" }, `${format.count(events)} events, exposure ${format.count(Math.round(exposure))} (${answer.exposure_source})`));
    this.answer.replaceChildren(
      h("div", { class: "sides" }, side("Before", answer.baseline, answer.events_baseline, answer.exposure_baseline), side("Since", answer.versions, answer.events_new, answer.exposure_new)),
      answer.enough_data ? "" : h("p", { class: "note" }, "Not enough data on the new side to say that nothing is new."),
      list("New", "first seen on the new side", answer.new, false),
      list("Renamed", "new wordings of earlier messages", answer.renamed, false),
      list("Worse", "higher rate for the same exposure", answer.worse, true),
      list("Gone", "not seen on the new side", answer.gone, false),
    );
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "/") return false;
    this.since.focus();
    return true;
  }
}

/**
 * @param {string} value
 * @param {string} text
 * @param {boolean} selected
 */
function option(value, text, selected) {
  return h("option", { value, selected }, text);
}

/**
 * @param {string} title
 * @param {string} note
 * @param {any[]} entries
 * @param {boolean} ratios
 */
function list(title, note, entries, ratios) {
  const heads = ["Events", ratios ? "Rate" : "First seen", "Version", "Groups", "Hosts", "Channel", "Message"];
  const row = (/** @type {any} */ it) => {
    const message = h("a", { href: `/s/${it.id}` });
    appendTemplate(message, it.template);
    const from = it.renamed_from_template ? h("small", { class: "template" }, " renamed from ") : null;
    if (from) appendTemplate(from, it.renamed_from_template);
    const rate = it.ratio === null ? "" : [h("b", { class: "much" }, format.ratio(it.ratio)), it.ratio_low === null ? "" : h("small", null, ` ${it.ratio_low.toFixed(1)}–${it.ratio_high.toFixed(1)}`)];
    return h("tr", null, h("td", { class: "n", "data-unit": " events" }, format.count(it.events)), h("td", { title: format.stamp(it.first_seen) }, ratios ? rate : format.dayHour(it.first_seen)), h("td", null, format.shortVersion(it.version)), h("td", null, it.groups.join(" ")), h("td", { class: "n", "data-unit": it.hosts === 1 ? " host" : " hosts" }, format.count(it.hosts)), h("td", null, it.channel), h("td", { class: "template" }, message, from));
  };
  const table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", null, h("thead", null, h("tr", null, heads.map((it, at) => h("th", { scope: "col", class: at === 0 || at === 4 ? "n" : null }, it)))), h("tbody", null, entries.map(row))));
  return h("section", { class: "panel" }, h("h3", null, `${title}: ${entries.length} `, h("small", null, note)), entries.length > 0 ? table : h("p", { class: "none" }, "None."));
}
