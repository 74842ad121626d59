// @ts-check
// Releases: what really runs where, whether announcements came true, whether fixes worked, and what was planned.

import { get } from "./api.js";
import { mark } from "./badge.js";
import { appendTemplate, h } from "./dom.js";
import * as format from "./format.js";
import { ListPage, table } from "./listpage.js";

/** @type {Record<string, [string, string]>} */
const FOLLOWED = { observed: ["observed", "good"], waiting: ["waiting", "none"], contradicted: ["not so", "bad"] };

/** @type {Record<string, [string, string]>} */
const PLANNED = { waiting: ["waiting", "none"], quiet: ["quiet", "none"], within: ["planned", "good"], past: ["past its bound", "bad"] };

/** @type {Record<string, [string, string]>} */
const FIXED = { gone: ["gone", "good"], unproven: ["not proven", "warn"], still: ["still there", "bad"] };

const MARKERS_MAX = 30;

/** The answer reads hours of history, and what runs changes seldom. */
const REFRESH_MS = 20_000;

export class ReleasesPage extends ListPage {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    super(app, "Releases", ["rollouts", "planned", "deploys"], REFRESH_MS);
    /** @type {any} */
    this.fix = null;
  }

  /**
   * @param {any[]} answers
   * @returns {Node[]}
   */
  draw([rollouts, { planned }, { markers }]) {
    if (rollouts.live.length === 0 && markers.length === 0) return [h("div", { class: "empty" }, h("h2", null, "No release yet"), h("p", null, "No record and no deploy marker has named a version."))];
    const calm = rollouts.warnings.length === 0;
    const summary = h("p", { class: "summary" }, h("strong", { class: calm ? "calm" : "loud" }, calm ? "As announced" : `${rollouts.warnings.length} to look at`), `: ${rollouts.live.length} versions are live`);
    return [
      summary,
      calm ? null : h("ul", { class: "warnings" }, rollouts.warnings.map((/** @type {string} */ it) => h("li", null, mark("warn", "look"), " ", it))),
      this.live(rollouts.live),
      planned.length > 0 ? this.planned(planned) : null,
      this.deploys(markers, rollouts.announced),
      this.fix ? this.fixed(this.fix) : null,
    ].filter((it) => it !== null);
  }

  /** @param {any[]} live */
  live(live) {
    const row = (/** @type {any} */ it) =>
      h("tr", null, h("td", null, h("a", { href: `/gate?version=${encodeURIComponent(it.version)}` }, it.version)), h("td", null, it.groups.map((/** @type {any} */ at) => `${at.group} ${Math.round(at.share * 100)} %`).join(", ")), h("td", { class: "n", "data-unit": it.hosts === 1 ? " host" : " hosts" }, format.count(it.hosts)), h("td", null, it.stale ? mark("warn", "stale") : mark("good", "main")), h("td", { class: "what" }, it.stale_hosts.join(" ")));
    return h("section", { class: "panel" }, h("h3", null, "Runs now ", h("small", null, "by the records of the last ten minutes")), table("Runs now", ["Version", "Share of each group", ["Hosts", "n"], "State", "Stale hosts"], live.map(row)));
  }

  /** @param {any[]} planned */
  planned(planned) {
    const row = (/** @type {any} */ it) => {
      const [word, tone] = PLANNED[it.state] ?? [it.state, "none"];
      return h("tr", null, h("td", null, mark(tone, word)), h("td", null, it.marker), h("td", null, format.dayHour(it.at)), h("td", null, it.group), h("td", null, it.channel ?? ""), h("td", { class: "what" }, it.template ?? "", it.ref ? h("small", null, it.ref) : ""), h("td", { class: "n", "data-unit": "/min" }, format.rate(it.rate_per_min)), h("td", { class: "n", "data-unit": "/min at most" }, format.rate(it.rate_max_per_min)));
    };
    return h("section", { class: "panel" }, h("h3", null, "Planned effects ", h("small", null, "silent within their bound, told past it")), table("Planned effects", ["State", "Marker", "Since", "Group", "Channel", "Message", ["Per min", "n"], ["Bound", "n"]], planned.map(row)));
  }

  /**
   * @param {any[]} markers
   * @param {any[]} announced
   */
  deploys(markers, announced) {
    const latest = markers.slice(-MARKERS_MAX).reverse();
    const row = (/** @type {any} */ it) => {
      const groups = announced.filter((/** @type {any} */ at) => at.marker === it.id);
      const seen = groups.map((/** @type {any} */ at) => {
        const [word, tone] = FOLLOWED[at.followed] ?? [at.followed, "none"];
        return h("span", { class: "followed", title: at.text }, mark(tone, word), ` ${at.group} ${at.observed_at ? format.dayHour(at.observed_at) : "never"} `);
      });
      const ask = it.kind === "hotfix" || it.kind === "deploy" ? h("button", { type: "button", class: "quiet", onclick: () => this.ask(it.id), "aria-label": `Did ${it.id} work?` }, "Did it work?") : "";
      return h("tr", null, h("td", null, format.dayHour(it.at)), h("td", null, it.kind.replaceAll("_", " ")), h("td", null, it.version ? format.shortVersion(it.version) : ""), h("td", null, it.host ?? it.group ?? ""), h("td", { class: "what" }, it.id, it.ref ? h("small", null, it.ref) : ""), h("td", null, seen.length > 0 ? seen : ""), h("td", null, ask));
    };
    return h("section", { class: "panel" }, h("h3", null, "Announced ", h("small", null, "latest first, beside what was observed")), latest.length > 0 ? table("Announced", ["At", "Kind", "Version", "Where", "What", "Observed", "Fix"], latest.map(row)) : h("p", { class: "none" }, "No deploy marker yet."));
  }

  /** @param {string} marker */
  async ask(marker) {
    try {
      this.fix = await get(`deploys/${encodeURIComponent(marker)}/fix`, {}, this.abort.signal);
      await this.load();
      this.element.querySelector(".fix-report")?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!this.abort.signal.aborted) this.app.failed(error, this.element, () => this.load());
    }
  }

  /** @param {any} fix */
  fixed(fix) {
    const row = (/** @type {any} */ it) => {
      const [word, tone] = FIXED[it.state] ?? [it.state, "none"];
      const message = h("a", { href: `/s/${it.signature}` });
      appendTemplate(message, it.template);
      const after = it.last_after_seconds === null ? "at once" : format.span(it.last_after_seconds);
      return h("tr", null, h("td", null, mark(tone, word)), h("td", { class: "n", "data-unit": "/min before" }, format.rate(it.before_per_min)), h("td", { class: "n", "data-unit": " since" }, format.count(it.events_since)), h("td", { class: "n", "data-unit": " expected" }, format.rate(it.expected_since)), h("td", null, after), h("td", null, it.channel), h("td", { class: "template" }, message));
    };
    const fresh = (/** @type {any} */ it) => {
      const message = h("a", { href: `/s/${it.signature}` });
      appendTemplate(message, it.template);
      return h("li", null, mark("warn", "new"), ` ${format.dayHour(it.first_seen)} `, message);
    };
    return h(
      "section",
      { class: "panel fix-report" },
      h("h3", null, `Did ${fix.marker.id} work?`),
      h("p", { role: "status" }, fix.summary),
      fix.targets.length > 0 ? table("Problems", ["State", ["Before per min", "n"], ["Since", "n"], ["Expected", "n"], "Last after", "Channel", "Message"], fix.targets.map(row)) : "",
      fix.new.length > 0 ? h("ul", { class: "warnings" }, fix.new.map(fresh)) : "",
    );
  }
}
