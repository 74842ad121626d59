// @ts-check
// Sparklines: 60 minutes as one path, deploys as another.

import { svg } from "./dom.js";

export const MINUTES = 60;
const WIDTH = 120;
const HEIGHT = 18;
const STEP = WIDTH / MINUTES;

/**
 * Unpacks the base64 of one byte for each minute.
 * @param {string} packed
 * @returns {Uint8Array}
 */
export function unpack(packed) {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/**
 * Returns the path of the bars.
 * @param {ArrayLike<number>} bars
 * @param {number} max
 */
export function path(bars, max) {
  let out = "";
  const start = MINUTES - bars.length;
  for (let at = 0; at < bars.length; at++) {
    if (bars[at] === 0 || max === 0) continue;
    const tall = Math.max(1, Math.round((bars[at] / max) * (HEIGHT - 1)));
    out += `M${((start + at) * STEP).toFixed(1)} ${HEIGHT}v-${tall}h1.5v${tall}z`;
  }
  return out;
}

/**
 * Returns the path of the ticks where something was deployed in the last hour.
 * @param {number[]} deploys
 * @param {number} now
 */
export function ticks(deploys, now) {
  let out = "";
  for (const at of deploys) {
    const minute = MINUTES - (now - at) / 60_000;
    if (minute >= 0 && minute <= MINUTES) out += `M${(minute * STEP).toFixed(1)} 0v${HEIGHT}`;
  }
  return out;
}

/** Makes an empty sparkline with its two paths. */
export function make() {
  const bars = svg("path", { class: "bars" });
  const deploys = svg("path", { class: "ticks" });
  const element = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", preserveAspectRatio: "none" }, deploys, bars);
  return { element, bars, deploys };
}

/**
 * Says in words what the bars show.
 * @param {ArrayLike<number>} bars
 * @param {string} last
 */
export function words(bars, last) {
  let early = 0;
  let late = 0;
  const third = Math.floor(bars.length / 3) || 1;
  for (let at = 0; at < bars.length; at++) {
    if (at < third) early += bars[at];
    else if (at >= bars.length - third) late += bars[at];
  }
  const trend = late > early * 1.5 + 1 ? "rising" : early > late * 1.5 + 1 ? "falling" : late === 0 ? "none" : "steady";
  return `last hour: ${trend}, now ${last} a minute`;
}
