// @ts-check
// The deploy gate: may a version go on? In words, with the reasons; a decision that is kept shows as it was.

import { get, post } from "./api.js";
import { mark } from "./badge.js";
import { appendTemplate, h } from "./dom.js";
import * as format from "./format.js";
import { table } from "./listpage.js";

const REFRESH_MS = 5_000;

/** @type {Record<string, [string, string]>} */
const VERDICTS = { pass: ["PASS", "good"], fail: ["FAIL", "bad"], inconclusive: ["INCONCLUSIVE", "warn"] };

/** @type {Record<string, [string, string]>} */
const EFFECTS = { fail: ["fails", "bad"], blind: ["blind", "warn"], inconclusive: ["undecided", "warn"], note: ["note", "none"] };

export class GatePage {
  title = "Gate";

  /**
   * @param {import("./app.js").App} app
   * @param {string | null} id name of a kept decision; null asks anew
   */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    this.abort = new AbortController();
    this.version = /** @type {HTMLSelectElement} */ (h("select", { id: "gate-version", onchange: () => this.chosen() }));
    this.group = /** @type {HTMLSelectElement} */ (h("select", { id: "gate-group", onchange: () => this.chosen() }));
    this.answer = h("div", { class: "answer" }, h("p", { class: "wait" }, "Reading…"));
    this.element = h("div", { class: "page gate" }, id ? "" : this.tools(), this.answer);
  }

  tools() {
    const decide = h("button", { type: "button", onclick: () => this.decide() }, "Decide and keep");
    return h("form", { class: "tools", onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, h("label", { for: "gate-version" }, "Version"), this.version, h("label", { for: "gate-group" }, "in"), this.group, decide);
  }

  /** @param {URLSearchParams} query */
  open(query) {
    this.query = query;
    this.load();
    if (!this.id) this.timer = setInterval(() => this.load(), REFRESH_MS);
  }

  close() {
    clearInterval(this.timer);
    this.abort.abort();
  }

  /** @param {URLSearchParams} query */
  queryChanged(query) {
    this.query = query;
    this.load();
  }

  event(/** @type {string} */ kind) {
    if (!this.id && (kind === "deploy" || kind === "reset")) this.load();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "/" || this.id) return false;
    this.version.focus();
    return true;
  }

  chosen() {
    this.app.setQuery({ version: this.version.value, group: this.group.value || null, at: null });
  }

  async load() {
    const signal = this.abort.signal;
    if (window.getSelection()?.toString()) return;
    try {
      if (this.id) {
        this.show(await get(`gate/${encodeURIComponent(this.id)}`, {}, signal), []);
        return;
      }
      const [{ releases }, { gates }] = await Promise.all([get("releases", {}, signal), get("gates", {}, signal)]);
      const version = this.choose(releases);
      if (!version) {
        this.answer.replaceChildren(h("div", { class: "empty" }, h("h2", null, "No version yet"), h("p", null, "The gate opens for a version that was seen in the records.")));
        return;
      }
      const at = this.query?.get("at");
      this.show(await get("gate", { version, group: this.query?.get("group"), at }, signal), gates);
    } catch (error) {
      if (!signal.aborted) this.app.failed(error, this.answer, () => this.load());
    }
  }

  /** @param {any[]} releases */
  choose(releases) {
    const versions = [...new Set(releases.map((it) => it.version))].filter((it) => it !== "unknown");
    const groups = [...new Set(releases.map((it) => it.group))].sort();
    const version = this.query?.get("version") ?? versions[0];
    const group = this.query?.get("group") ?? "";
    if (version && !versions.includes(version)) versions.push(version);
    if (group && !groups.includes(group)) groups.push(group);
    // Drawn again only when they change: an open list must not close under the pointer.
    const signature = JSON.stringify([versions, groups, version, group]);
    if (signature !== this.choices) {
      this.choices = signature;
      this.version.replaceChildren(...versions.map((it) => h("option", { value: it, selected: it === version }, it)));
      this.group.replaceChildren(h("option", { value: "", selected: group === "" }, "all its groups"), ...groups.map((it) => h("option", { value: it, selected: it === group }, it)));
    }
    return version;
  }

  async decide() {
    const body = { version: this.version.value, group: this.group.value || undefined, at: this.query?.get("at") ?? undefined };
    try {
      const kept = await post("gate", body, this.abort.signal);
      this.app.go(kept.permalink);
    } catch (error) {
      if (!this.abort.signal.aborted) this.app.failed(error, this.answer, () => this.load());
    }
  }

  /**
   * @param {any} answer
   * @param {any[]} gates
   */
  show(answer, gates) {
    const [word, tone] = VERDICTS[answer.verdict] ?? [answer.verdict, "none"];
    const scrolled = [...this.answer.querySelectorAll(".scroll")].map((it) => it.scrollLeft);
    const place = answer.group === "*" ? "all its groups" : answer.group;
    this.answer.replaceChildren(
      h(
        "section",
        { class: `panel verdict-panel t-${tone}`, "aria-label": "Verdict" },
        h("p", { class: "verdict-word", role: "status" }, mark(tone, word), " ", h("span", null, `${answer.version} in ${place}`)),
        h("p", null, answer.summary),
        h("p", { class: "muted" }, answer.id ? `Decided as of ${format.stamp(answer.at)}${answer.asked_at ? `, asked ${format.stamp(answer.asked_at)}` : ""}; kept as it was.` : `As of ${format.stamp(answer.at)}${answer.is_past ? ", from what was known by then" : "; asked again by itself"}.`),
      ),
      this.exposure(answer),
      reasons(answer.reasons),
      answer.forecast.length > 0 ? forecast(answer.forecast) : "",
      gates.length > 0 ? earlier(gates) : "",
      this.id ? h("p", null, h("a", { href: `/gate?version=${encodeURIComponent(answer.version)}${answer.group === "*" ? "" : `&group=${encodeURIComponent(answer.group)}`}` }, "Ask again now")) : "",
    );
    [...this.answer.querySelectorAll(".scroll")].forEach((it, at) => (it.scrollLeft = scrolled[at] ?? 0));
  }

  /** @param {any} answer */
  exposure(answer) {
    const { records, records_min, share_bound, seconds_left, records_per_min } = answer.exposure;
    const enough = records >= records_min;
    const left = enough ? "" : seconds_left === null ? "; nothing comes at present" : `; enough in about ${format.span(seconds_left)}`;
    const bar = h("progress", { class: "bar", max: records_min, value: Math.min(records, records_min), "aria-label": "Records seen of those that are needed" });
    const rows = answer.groups.map((/** @type {any} */ it) =>
      h("tr", null, h("td", null, it.group), h("td", null, format.stamp(it.since)), h("td", null, it.marker ?? ""), h("td", { class: "n" }, format.count(it.records)), h("td", null, it.running ? "runs" : mark("none", "gone"))),
    );
    return h(
      "section",
      { class: "panel" },
      h("h3", null, "Exposure ", h("small", null, `${format.count(records)} of ${format.count(records_min)} records${left}`)),
      bar,
      h("p", { class: "muted" }, share_bound === null ? "Nothing was seen of it." : `With 95 % certainty, an error that never showed makes up less than ${percent(share_bound)} of its records (rule of three). ${format.rate(records_per_min)} records a minute now.`),
      rows.length > 0 ? table("Groups", ["Group", "Judged since", "Marker", ["Records", "n"], "Now"], rows) : "",
    );
  }
}

/** @param {number} share */
function percent(share) {
  const value = share * 100;
  if (value >= 10) return `${Math.round(value)} %`;
  return value >= 0.1 ? `${value.toFixed(1)} %` : value >= 0.001 ? `${value.toFixed(3)} %` : "0.001 %";
}

/** @param {any[]} all */
function reasons(all) {
  const row = (/** @type {any} */ it) => {
    const [word, tone] = EFFECTS[it.effect] ?? [it.effect, "none"];
    const link = it.signature ? `/s/${it.signature}` : it.channel && it.channel !== "*" ? "/channels" : null;
    return h(
      "tr",
      null,
      h("td", null, mark(tone, word)),
      h("td", null, it.rule.replaceAll("_", " ")),
      h("td", { class: "what" }, link ? h("a", { href: link }, it.text) : it.text),
      h("td", null, it.groups.join(" ")),
      h("td", { class: "n", "data-unit": it.events > 0 ? " events" : null }, it.events > 0 ? format.count(it.events) : ""),
      h("td", { class: "n", "data-unit": it.rate_per_min === null ? null : "/min" }, it.rate_per_min === null ? "" : format.rate(it.rate_per_min)),
      h("td", null, it.last_seen ? format.dayHour(it.last_seen) : ""),
    );
  };
  return h("section", { class: "panel" }, h("h3", null, `Reasons: ${all.length}`), all.length > 0 ? table("Reasons", ["Effect", "Rule", "What", "Groups", ["Events", "n"], ["Per min", "n"], "Last"], all.map(row)) : h("p", { class: "none" }, "Nothing speaks against it."));
}

/** @param {any[]} all */
function forecast(all) {
  const row = (/** @type {any} */ it) => {
    const message = h("a", { href: `/s/${it.signature}` });
    appendTemplate(message, it.template);
    return h("tr", null, h("td", null, it.to_group), h("td", { class: "n", "data-unit": "/min" }, h("b", null, `${format.rate(it.low_per_min)}–${format.rate(it.high_per_min)}`)), h("td", { class: "n", "data-unit": "/min now" }, format.rate(it.rate_per_min)), h("td", null, it.from_groups.join(" ")), h("td", { class: "n" }, format.ratio(it.traffic_ratio)), h("td", { class: "template" }, message));
  };
  return h("section", { class: "panel" }, h("h3", null, "If it goes on ", h("small", null, "events a minute to expect, 90 % interval")), table("Forecast", ["Next group", ["Expect", "n"], ["Now", "n"], "In", ["Traffic", "n"], "Message"], all.map(row)));
}

/** @param {any[]} gates */
function earlier(gates) {
  const row = (/** @type {any} */ it) => {
    const [word, tone] = VERDICTS[it.verdict] ?? [it.verdict, "none"];
    return h("tr", null, h("td", null, mark(tone, word)), h("td", null, h("a", { href: it.permalink }, `${it.version} in ${it.group === "*" ? "all groups" : it.group}`)), h("td", null, format.stamp(it.at)), h("td", { class: "what" }, it.summary));
  };
  return h("section", { class: "panel" }, h("h3", null, "Kept decisions"), table("Kept decisions", ["Verdict", "Release", "As of", "Why"], gates.map(row)));
}
