// @ts-check
// A list of any length of which only the visible rows exist. One tab stop; arrows move, Enter opens.

import { h } from "./dom.js";

/** Rows beyond the edges, so that fast scrolling shows no gaps. */
const OVERSCAN = 6;

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {string} [hint]
 * @property {boolean} [sortable]
 */

/**
 * @typedef {object} Options
 * @property {string} label
 * @property {Column[]} columns
 * @property {() => { element: HTMLElement, paint: (row: any) => void }} make makes an empty row
 * @property {(row: any) => void} open
 * @property {(key: string) => void} sort
 */

export class Grid {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    /** @type {any[]} */
    this.rows = [];
    this.current = -1;
    /** @type {{ element: HTMLElement, paint: (row: any) => void, row: any, at: number }[]} */
    this.pool = [];
    this.touchedAt = -Infinity;
    this.head = h("div", { class: "row head", role: "row", "aria-rowindex": "1" }, options.columns.map((column, at) => this.header(column, at)));
    this.body = h("div", { class: "body", role: "rowgroup" });
    this.element = h(
      "div",
      { class: "grid", role: "grid", tabindex: "0", "aria-label": options.label, "aria-colcount": options.columns.length },
      h("div", { class: "heads", role: "rowgroup" }, this.head),
      this.body,
    );
    this.element.addEventListener("scroll", () => this.paint(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => this.click(event));
    for (const kind of ["pointermove", "keydown", "wheel"]) {
      this.element.addEventListener(kind, () => (this.touchedAt = performance.now()), { passive: true });
    }
    this.observer = new ResizeObserver(() => this.paint(true));
    this.observer.observe(this.element);
  }

  /**
   * @param {Column} column
   * @param {number} at
   */
  header(column, at) {
    const inner = column.sortable === false ? column.title : h("button", { type: "button", tabindex: "-1", title: column.hint, onclick: () => this.options.sort(column.key) }, column.title);
    return h("div", { class: `c c-${column.key}`, role: "columnheader", "aria-colindex": at + 1, "data-key": column.key }, inner);
  }

  /**
   * Shows which column sorts.
   * @param {string} key
   * @param {boolean} up
   */
  sorted(key, up) {
    for (const cell of this.head.children) {
      const mine = cell.getAttribute("data-key") === key;
      if (mine) cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  /** Tells whether somebody points or types here now; rows must not move under them. */
  busy() {
    return performance.now() - this.touchedAt < 2000;
  }

  /** @param {any[]} rows */
  show(rows) {
    const id = this.rows[this.current]?.id;
    this.rows = rows;
    if (this.current >= 0) {
      const found = id === undefined ? -1 : rows.findIndex((row) => row.id === id);
      this.current = found >= 0 ? found : Math.min(this.current, rows.length - 1);
    }
    this.element.setAttribute("aria-rowcount", String(rows.length + 1));
    this.paint(true);
  }

  height() {
    return Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 24;
  }

  /**
   * Puts the rows in sight into the pool's elements.
   * @param {boolean} [all] paint also rows that are where they were
   */
  paint(all = false) {
    const tall = this.height();
    const view = this.element.clientHeight;
    const first = Math.max(0, Math.floor(this.element.scrollTop / tall) - OVERSCAN);
    const wanted = view === 0 ? 0 : Math.min(this.rows.length - first, Math.ceil(view / tall) + 2 * OVERSCAN);
    this.body.style.height = `${this.rows.length * tall}px`;
    while (this.pool.length < wanted) this.grow();
    for (const slot of this.pool) slot.at = slot.at >= first && slot.at < first + wanted ? slot.at : -1;
    /** @type {Map<number, any>} */
    const placed = new Map();
    for (const slot of this.pool) if (slot.at >= 0) placed.set(slot.at, slot);
    const free = this.pool.filter((slot) => slot.at < 0);
    for (let at = first; at < first + wanted; at++) {
      const kept = placed.get(at);
      const slot = kept ?? free.pop();
      const row = this.rows[at];
      if (!kept || all || slot.row !== row) this.place(slot, at, row, tall);
    }
    for (const slot of free) {
      slot.element.hidden = true;
      slot.row = null;
    }
    this.mark();
  }

  grow() {
    const made = this.options.make();
    made.element.setAttribute("role", "row");
    this.body.appendChild(made.element);
    this.pool.push({ ...made, row: null, at: -1 });
  }

  /**
   * @param {any} slot
   * @param {number} at
   * @param {any} row
   * @param {number} tall
   */
  place(slot, at, row, tall) {
    slot.at = at;
    slot.row = row;
    slot.element.hidden = false;
    slot.element.id = `row-${at}`;
    slot.element.style.transform = `translateY(${at * tall}px)`;
    slot.element.setAttribute("aria-rowindex", String(at + 2));
    slot.element.classList.toggle("odd", at % 2 === 1);
    slot.paint(row);
  }

  mark() {
    for (const slot of this.pool) {
      const current = slot.at === this.current && slot.at >= 0;
      slot.element.classList.toggle("current", current);
      slot.element.setAttribute("aria-selected", String(current));
    }
    const shown = this.pool.some((slot) => slot.at === this.current && slot.at >= 0);
    if (shown) this.element.setAttribute("aria-activedescendant", `row-${this.current}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** @param {number} by */
  move(by) {
    if (this.rows.length === 0) return;
    this.current = Math.max(0, Math.min(this.rows.length - 1, this.current < 0 ? 0 : this.current + by));
    const tall = this.height();
    const head = this.head.offsetHeight;
    const top = this.current * tall;
    const view = this.element.clientHeight - head;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + tall > this.element.scrollTop + view) this.element.scrollTop = top + tall - view;
    this.paint();
    this.mark();
  }

  openCurrent() {
    const row = this.rows[this.current];
    if (row) this.options.open(row);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height()) - 2);
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.rows.length, End: this.rows.length };
    if (event.key in moves) this.move(moves[event.key]);
    else if (event.key === "Enter" && event.target === this.element) this.openCurrent();
    else return;
    event.preventDefault();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const target = /** @type {Element} */ (event.target);
    if (target.closest("a, button")) return;
    const element = target.closest(".body > .row");
    const slot = this.pool.find((it) => it.element === element);
    if (!slot || !slot.row || window.getSelection()?.toString()) return;
    this.current = slot.at;
    this.mark();
    this.options.open(slot.row);
  }

  close() {
    this.observer.disconnect();
  }
}
