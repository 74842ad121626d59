// @ts-check
// The frame of all pages: address, live state, freshness, keys.

import { AlertsPage } from "./alerts.js";
import { ApiError, get } from "./api.js";
import { ChannelsPage } from "./channels.js";
import { byId, h } from "./dom.js";
import { ErrorsPage } from "./errors.js";
import * as format from "./format.js";
import { GatePage } from "./gate.js";
import { Live } from "./live.js";
import { NewPage } from "./newsince.js";
import { PipelinePage } from "./pipeline.js";
import { ReleasesPage } from "./releases.js";
import { SignaturePage } from "./signature.js";

/**
 * @typedef {object} Page
 * @property {string} title
 * @property {HTMLElement} element
 * @property {(query: URLSearchParams) => void} open
 * @property {() => void} close
 * @property {(query: URLSearchParams) => void} queryChanged
 * @property {(kind: string, data: any) => void} event
 * @property {(event: KeyboardEvent) => boolean} key
 */

const NAV = [
  { path: "/", name: "Errors", key: "e" },
  { path: "/new", name: "New since", key: "n" },
  { path: "/releases", name: "Releases", key: "r" },
  { path: "/gate", name: "Gate", key: "t" },
  { path: "/channels", name: "Channels", key: "h" },
  { path: "/alerts", name: "Alerts", key: "a" },
  { path: "/pipeline", name: "Pipeline", key: "p" },
];

const KEYS = [
  ["j k, arrows", "move in the list"],
  ["Enter, o", "open"],
  ["u", "back"],
  ["/", "filter"],
  ["1 … 9, 0", "sort by column; again: the other way"],
  [".", "pause and resume live updates"],
  ["e", "open and close traces"],
  ["c", "copy the link of a signature"],
  ["d", "dark or light"],
  ["g then e n r t h a p", "go to a page"],
  ["?", "this list"],
];

export class App {
  constructor() {
    /** @type {Page | null} */
    this.page = null;
    /** @type {any} */
    this.health = null;
    this.path = "";
    this.state = "connecting";
    this.paused = false;
    this.goPending = -Infinity;
    this.keysOn = localStorage.getItem("keys") !== "off";
    this.live = new Live({ event: (kind, data) => this.event(kind, data), state: (state) => this.liveState(state) });
  }

  start() {
    const theme = localStorage.getItem("theme");
    if (theme) document.documentElement.dataset.theme = theme;
    byId("nav-list").append(...NAV.map((it) => h("li", null, h("a", { href: it.path, title: `g ${it.key}` }, it.name))));
    byId("theme").addEventListener("click", () => this.flipTheme());
    byId("help-button").addEventListener("click", () => this.help());
    byId("live").addEventListener("click", () => this.pause());
    addEventListener("popstate", () => this.route());
    document.addEventListener("click", (event) => this.followLink(event));
    document.addEventListener("keydown", (event) => this.key(event));
    this.live.open();
    this.route();
    get("status").then((it) => this.setHealth(it)).catch(() => this.liveState("away"));
  }

  /** Shows the page of the address. */
  route() {
    const query = new URLSearchParams(location.search);
    if (this.page && location.pathname === this.path) {
      this.page.queryChanged(query);
      return;
    }
    this.path = location.pathname;
    this.page?.close();
    this.page = this.make(location.pathname);
    document.title = `${this.page.title} · fatalmonitor`;
    byId("title").textContent = this.page.title;
    for (const link of byId("nav-list").querySelectorAll("a")) {
      if (link.getAttribute("href") === this.path) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    byId("main").replaceChildren(this.page.element);
    this.page.open(query);
  }

  /**
   * @param {string} path
   * @returns {Page}
   */
  make(path) {
    const id = path.match(/^\/s\/([0-9a-fA-F]{8,32})$/)?.[1];
    if (id) return new SignaturePage(this, id);
    if (path === "/new") return new NewPage(this);
    if (path === "/releases") return new ReleasesPage(this);
    if (path === "/gate") return new GatePage(this, null);
    const gate = path.match(/^\/gate\/([0-9a-f]{16})$/)?.[1];
    if (gate) return new GatePage(this, gate);
    if (path === "/channels") return new ChannelsPage(this);
    if (path === "/alerts") return new AlertsPage(this);
    if (path === "/pipeline") return new PipelinePage(this);
    return new ErrorsPage(this);
  }

  /** @param {string} address */
  go(address) {
    history.pushState(null, "", address);
    this.route();
    byId("main").focus({ preventScroll: true });
  }

  /**
   * Changes parts of the query; null takes one away.
   * @param {Record<string, string | null>} changes
   * @param {boolean} [quiet] do not tell the page
   */
  setQuery(changes, quiet = false) {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}`);
    if (quiet && this.page && "query" in this.page) this.page.query = query;
    else this.route();
  }

  /** @param {MouseEvent} event */
  followLink(event) {
    const link = /** @type {Element} */ (event.target).closest("a");
    const href = link?.getAttribute("href");
    if (!href?.startsWith("/") || href.startsWith("/web") || href.startsWith("/plain")) return;
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go(href);
  }

  /**
   * @param {string} kind
   * @param {any} data
   */
  event(kind, data) {
    if (kind === "health") this.setHealth(data);
    if (this.paused && kind === "delta") return;
    this.page?.event(kind, data);
  }

  /** @param {any} health */
  setHealth(health) {
    this.health = health;
    const clock = byId("clock");
    if (health.clock) {
      const [date, time] = format.stamp(health.clock).split(/ (.*)/);
      clock.replaceChildren(h("span", { class: "date" }, `${date} `), time);
    } else clock.textContent = "no record yet";
    if (health.clock) clock.setAttribute("datetime", health.clock);
    clock.title = health.mode === "live" ? "time of the newest decided records" : `${health.mode}: the clock of the records`;
    this.showState();
  }

  /** @param {string} state */
  liveState(state) {
    if (state === this.state) return;
    const back = this.state === "away" && state === "live";
    this.state = state;
    this.showState();
    if (back) this.page?.event("reset", {});
    if (state === "away" && this.health) this.page?.event("health", this.health);
  }

  /** Tells whether a page without alarms may look calm. */
  believable() {
    return this.state === "live" && ["fresh", "degraded"].includes(this.health?.freshness?.level);
  }

  pause() {
    this.paused = !this.paused;
    this.showState();
    if (!this.paused) this.page?.event("reset", {});
  }

  /** Says how far the page can be believed: in the corner in a word, above all in sentences. */
  showState() {
    const fresh = this.health?.freshness;
    const away = this.state === "away";
    const level = away ? "away" : this.state !== "live" ? this.state : (fresh?.level ?? "live");
    const shown = this.paused && !away ? "paused" : level;
    /** @type {Record<string, string>} */
    const words = { away: "server away", connecting: "connecting", paused: "paused", fresh: this.health?.mode === "live" ? "live" : `live, ${this.health?.mode}`, degraded: "live, cut short", empty: "no data yet", stale: "stale data", live: "live" };
    const live = byId("live");
    live.dataset.state = shown;
    const text = byId("live-text");
    if (text.textContent !== words[shown]) text.textContent = words[shown] ?? shown;
    this.banner(away, fresh);
  }

  /**
   * @param {boolean} away
   * @param {any} fresh
   */
  banner(away, fresh) {
    const reasons = away ? ["The server does not answer. What you see is old; it is asked again by itself."] : [...(this.health?.not_ready ?? []), ...(fresh?.level === "fresh" ? [] : (fresh?.reasons ?? []))];
    if (this.health?.insecure) reasons.push("This server listens to the network without authentication.");
    const banner = byId("banner");
    banner.hidden = reasons.length === 0;
    banner.dataset.level = away || fresh?.level === "stale" ? "bad" : fresh?.level === "empty" ? "none" : "warn";
    const text = reasons.slice(0, 4).join(" · ");
    if (banner.textContent === text) return;
    banner.replaceChildren(h("span", null, text));
  }

  /**
   * Shows what went wrong in place of what was asked for.
   * @param {unknown} error
   * @param {HTMLElement} place
   * @param {() => void} again
   */
  failed(error, place, again) {
    const known = error instanceof ApiError ? error : new ApiError(String(error), "this is a defect of the page", -1);
    if (known.status === 0) {
      // The banner says it; what is shown stays, marked as old.
      this.liveState("away");
      if (place.childElementCount > 0 && !place.querySelector(".wait")) return;
    }
    place.hidden = false;
    place.replaceChildren(h("div", { class: "empty" }, h("h2", null, known.message), h("p", null, known.hint), h("button", { type: "button", onclick: again }, "Try again")));
  }

  flipTheme() {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
  }

  help() {
    const dialog = /** @type {HTMLDialogElement} */ (byId("help"));
    const toggle = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "keys-on", checked: this.keysOn }));
    toggle.addEventListener("change", () => {
      this.keysOn = toggle.checked;
      localStorage.setItem("keys", this.keysOn ? "on" : "off");
    });
    dialog.replaceChildren(
      h("h2", { id: "help-title" }, "Keys"),
      h("dl", { class: "pairs" }, KEYS.flatMap(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
      h("p", null, toggle, h("label", { for: "keys-on" }, " Single-key shortcuts")),
      h("p", null, h("a", { href: "/plain" }, "Plain table"), " · ", h("a", { href: "/web/../openapi.json", rel: "external" }, "API")),
      h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
    );
    dialog.showModal();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const target = /** @type {Element} */ (event.target);
    const typing = target.matches("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing) /** @type {HTMLElement} */ (target).blur();
    if (typing || !this.keysOn || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (/** @type {HTMLDialogElement} */ (byId("help")).open) return;
    if (this.keyDone(event)) event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  keyDone(event) {
    const going = performance.now() - this.goPending < 1500;
    this.goPending = -Infinity;
    if (going) {
      const page = NAV.find((it) => it.key === event.key);
      if (page) this.go(page.path);
      return Boolean(page);
    }
    // Enter on a link or a button is theirs.
    if (event.key === "Enter" && /** @type {Element} */ (event.target).closest("a, button, summary")) return false;
    if (event.key === "g") this.goPending = performance.now();
    else if (event.key === "?") this.help();
    else if (event.key === "d") this.flipTheme();
    else if (event.key === ".") this.pause();
    else return this.page?.key(event) ?? false;
    return true;
  }
}

new App().start();
