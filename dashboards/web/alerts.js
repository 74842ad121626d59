// @ts-check
// Alerts: what was told, since when, and when it was over.

import { mark, severityBadge } from "./badge.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { ListPage, table } from "./listpage.js";

export class AlertsPage extends ListPage {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    super(app, "Alerts", ["alerts?limit=500"]);
  }

  /**
   * @param {any[]} answers
   * @returns {Node[]}
   */
  draw([{ clock, alerts }]) {
    const firing = alerts.filter((/** @type {any} */ it) => it.state === "firing");
    const critical = firing.filter((/** @type {any} */ it) => it.severity === "critical").length;
    const now = clock ? format.millis(clock) : 0;
    const heads = ["Severity", "State", "Kind", "What", "Group", "Version", "Since", "Told"];
    const summary = h("p", { class: "summary" }, h("strong", { class: firing.length > 0 ? "loud" : "calm" }, firing.length > 0 ? `${firing.length} firing` : "Nothing fires"), firing.length > 0 ? `, ${critical} of them critical` : "", `; ${alerts.length - firing.length} resolved`);
    if (alerts.length === 0) return [summary, h("div", { class: "empty" }, h("h2", null, "No alert yet"), h("p", null, "Alerts appear here and in every Alertmanager of the configuration."))];
    return [summary, table("Alerts", heads, alerts.map((/** @type {any} */ it) => this.row(it, now)))];
  }

  /**
   * @param {any} it
   * @param {number} now
   */
  row(it, now) {
    const quiet = it.muted ? `muted ${it.muted}` : it.withheld ? `withheld: ${it.withheld}` : "";
    const state = it.state === "firing" ? mark(quiet ? "none" : "bad", "firing") : mark(it.state === "resolved" ? "good" : "none", it.state);
    const what = it.key.signature ? h("a", { href: `/s/${it.key.signature}` }, it.summary) : h("a", { href: `/?channel=${encodeURIComponent(it.key.channel)}` }, it.summary);
    return h(
      "tr",
      { class: it.state === "resolved" ? "over" : null },
      h("td", null, severityBadge(it.severity)),
      h("td", null, state),
      h("td", null, it.key.kind.replaceAll("_", " ")),
      h("td", { class: "what" }, what, h("small", null, it.description), quiet ? h("small", { class: "quiet-why" }, quiet) : null),
      h("td", null, it.key.group),
      h("td", null, format.shortVersion(it.key.version)),
      h("td", { title: format.stamp(it.started_at) }, `${format.dayHour(it.started_at)} (${format.span((now - format.millis(it.started_at)) / 1000)})`),
      h("td", { title: format.stamp(it.fired_at) }, it.resolved_at ? `over ${format.hour(it.resolved_at)}` : `after ${format.span((format.millis(it.fired_at) - format.millis(it.started_at)) / 1000)}`),
    );
  }
}
