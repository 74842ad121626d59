// @ts-check
// What the simple pages share: read, draw, read again.

import { get } from "./api.js";
import { h } from "./dom.js";

const REFRESH_MS = 5_000;

export class ListPage {
  /**
   * @param {import("./app.js").App} app
   * @param {string} title
   * @param {string[]} questions paths under /api/v1
   * @param {number} [refresh] milliseconds between two readings
   */
  constructor(app, title, questions, refresh = REFRESH_MS) {
    this.app = app;
    this.title = title;
    this.questions = questions;
    this.refresh = refresh;
    this.abort = new AbortController();
    this.element = h("div", { class: "page" }, h("p", { class: "wait" }, "Reading…"));
  }

  /** @param {URLSearchParams} query */
  open(query) {
    this.query = query;
    this.load();
    this.timer = setInterval(() => this.load(), this.refresh);
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
    if (kind === "reset") this.load();
  }

  key(/** @type {KeyboardEvent} */ _event) {
    return false;
  }

  async load() {
    const signal = this.abort.signal;
    if (this.drawn && window.getSelection()?.toString()) return;
    try {
      const answers = await Promise.all(this.questions.map((it) => get(it, {}, signal)));
      const focus = document.activeElement?.getAttribute("aria-label");
      const scrolled = [...this.element.querySelectorAll(".scroll")].map((it) => it.scrollLeft);
      this.element.replaceChildren(...this.draw(answers));
      [...this.element.querySelectorAll(".scroll")].forEach((it, at) => (it.scrollLeft = scrolled[at] ?? 0));
      if (focus) [...this.element.querySelectorAll("[aria-label]")].forEach((it) => it.getAttribute("aria-label") === focus && /** @type {HTMLElement} */ (it).focus());
      this.drawn = true;
    } catch (error) {
      if (!signal.aborted) this.app.failed(error, this.element, () => this.load());
    }
  }

  /**
   * @param {any[]} _answers
   * @returns {Node[]}
   */
  draw(_answers) {
    return [];
  }
}

/**
 * Makes a table that scrolls on its own where it is too wide.
 * @param {string} label
 * @param {(string | [string, "n"])[]} heads
 * @param {HTMLElement[]} rows
 */
export function table(label, heads, rows) {
  const head = heads.map((it) => (typeof it === "string" ? h("th", { scope: "col" }, it) : h("th", { scope: "col", class: "n" }, it[0])));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, rows)));
}
