// @ts-check
// Counts over time as SVG: one line for each series, deploys as dashed lines with their names. Axes are UTC.

import { h, plain, svg } from "./dom.js";
import * as format from "./format.js";

const HEIGHT = 220;
const PAD = { left: 46, right: 12, top: 22, bottom: 22 };

/**
 * Returns a round number at or above the value.
 * @param {number} value
 */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  for (const step of [1, 2, 4, 5, 8, 10]) if (step * power >= value) return step * power;
  return 10 * power;
}

/**
 * Draws a history.
 * @param {any} history
 * @param {any[]} markers
 * @param {number} width
 */
export function draw(history, markers, width) {
  const from = format.millis(history.from);
  const to = format.millis(history.to);
  const perMinute = 60 / history.step_seconds;
  const plotWidth = width - PAD.left - PAD.right;
  const plotHeight = HEIGHT - PAD.top - PAD.bottom;
  const top = ceiling(Math.max(1, ...history.series.map((/** @type {any} */ it) => Math.max(0, ...it.counts))) * perMinute);
  const x = (/** @type {number} */ at) => PAD.left + ((at - from) / (to - from)) * plotWidth;
  const y = (/** @type {number} */ value) => PAD.top + plotHeight * (1 - value / top);
  const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": words(history, perMinute) });
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    root.append(svg("path", { class: "grid-line", d: `M${PAD.left} ${at}H${width - PAD.right}` }), label(PAD.left - 6, at + 4, format.count(top * share), "end"));
  }
  for (const at of times(from, to, Math.max(2, Math.floor(plotWidth / 90)))) {
    root.append(label(x(at), HEIGHT - 6, to - from > 172_800_000 ? format.dayHour(at) : format.hour(at), "middle"));
  }
  history.series.forEach((/** @type {any} */ series, /** @type {number} */ index) => {
    const line = svg("path", { class: `line l${colour(index, history.series.length)}`, d: steps(series.counts, perMinute, history.step_seconds, from, x, y) });
    root.append(line);
  });
  deploys(root, markers.filter((it) => format.millis(it.at) >= from && format.millis(it.at) <= to), x, width);
  return root;
}

/**
 * Gives the newest series the strongest colour.
 * @param {number} index
 * @param {number} length
 */
export function colour(index, length) {
  return Math.min(length - 1 - index, 5);
}

/**
 * @param {any} history
 */
export function legend(history) {
  return h(
    "ul",
    { class: "legend" },
    history.series.map((/** @type {any} */ series, /** @type {number} */ index) => {
      const total = series.counts.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0);
      return h("li", { class: `l${colour(index, history.series.length)}` }, h("span", { class: "key", "aria-hidden": "true" }), h("span", null, series.name), h("b", null, format.count(total)));
    }),
  );
}

/**
 * @param {any} history
 * @param {number} perMinute
 */
function words(history, perMinute) {
  const parts = history.series.map((/** @type {any} */ it) => `${plain(it.name)} up to ${format.rate(Math.max(0, ...it.counts) * perMinute)}`);
  return `Events a minute from ${format.stamp(history.from)} to ${format.stamp(history.to)}: ${parts.join("; ") || "none"}`;
}

/**
 * @param {number[]} counts
 * @param {number} perMinute
 * @param {number} step
 * @param {number} from
 * @param {(at: number) => number} x
 * @param {(value: number) => number} y
 */
function steps(counts, perMinute, step, from, x, y) {
  let out = "";
  counts.forEach((value, index) => {
    const at = x(from + (index + 0.5) * step * 1000).toFixed(1);
    out += `${index === 0 ? "M" : "L"}${at} ${y(value * perMinute).toFixed(1)}`;
  });
  return out;
}

/**
 * @param {Element} root
 * @param {any[]} markers
 * @param {(at: number) => number} x
 * @param {number} width
 */
function deploys(root, markers, x, width) {
  let free = -Infinity;
  for (const marker of markers) {
    const at = x(format.millis(marker.at));
    const name = plain([format.shortVersion(marker.version ?? marker.id), marker.group].filter(Boolean).join(" "));
    root.append(svg("path", { class: "deploy", d: `M${at} ${PAD.top - 4}V${HEIGHT - PAD.bottom}` }));
    const wide = name.length * 6.4;
    if (at < free) continue;
    const end = at + wide > width - PAD.right;
    root.append(label(at, PAD.top - 8, name, end ? "end" : "start", "deploy-name"));
    free = at + wide + 8;
  }
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} anchor
 * @param {string} [name]
 */
function label(x, y, text, anchor, name = "axis") {
  const element = svg("text", { class: name, x, y, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} most
 */
function times(from, to, most) {
  const minutes = [5, 10, 30, 60, 180, 360, 720, 1440, 2880, 10_080];
  const step = (minutes.find((it) => (to - from) / (it * 60_000) <= most) ?? 43_200) * 60_000;
  const out = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) out.push(at);
  return out;
}
