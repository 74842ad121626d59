// @ts-check
// Badges: what to think of a thing in a word and a shape, never by colour alone.

import { h } from "./dom.js";
import { ratio } from "./format.js";

/** @type {Record<string, string>} */
export const STATES = {
  new: "NEW",
  spike: "UP",
  regressed: "REGR",
  resurfaced: "BACK",
  known: "known",
  quiet: "quiet",
  muted: "muted",
};

/** @type {Record<string, string>} */
const MEANING = {
  new: "first seen on the running release",
  spike: "far above its baseline",
  regressed: "higher on the new version than on the reference",
  resurfaced: "back after a long absence",
  known: "as usual",
  quiet: "not seen in the last hour",
  muted: "a person quieted it",
};

/** States that ask for attention. */
export const LOUD = ["new", "spike", "regressed", "resurfaced"];

/**
 * Returns the badge's word: `UP ×12` where the expected rate is known.
 * @param {{ state: string, rate_per_min: number, expected_per_min: number | null }} row
 */
export function stateText(row) {
  const word = STATES[row.state] ?? row.state;
  return row.state === "spike" && row.expected_per_min ? `${word} ${ratio(row.rate_per_min / row.expected_per_min)}` : word;
}

/** @param {string} state */
export function stateMeaning(state) {
  return MEANING[state] ?? "";
}

/** @param {any} row */
export function stateBadge(row) {
  return h("span", { class: `badge s-${row.state}`, title: stateMeaning(row.state) }, stateText(row));
}

/** @param {string} severity */
export function severityBadge(severity) {
  return h("span", { class: `badge v-${severity}` }, severity);
}

/**
 * @param {string} kind one of good, warn, bad, none
 * @param {string} text
 */
export function mark(kind, text) {
  return h("span", { class: `badge m-${kind}` }, text);
}
