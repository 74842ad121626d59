// @ts-check
// Building of elements. Text from logs is hostile: it goes into text nodes only, and characters that are
// invisible or change the direction of their neighbours are shown as marks.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const MASK = /<(?:\*|[a-z][a-z0-9_-]{0,20})>/g;
const MASKS_MAX = 24;

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Makes an element. Properties are set as attributes; `on…` properties are listeners.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : typeof value === "string" ? plain(value) : String(value));
  }
  append(element, children);
  return element;
}

/**
 * @param {Node} parent
 * @param {(Child | Child[])[]} children
 */
export function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    if (child instanceof Node) parent.appendChild(child);
    else appendText(parent, String(child));
  }
}

/**
 * Appends text, with marks in place of hidden characters. Line ends and tabs stay where `lines` is set.
 * @param {Node} parent
 * @param {string} text
 * @param {boolean} [lines]
 */
export function appendText(parent, text, lines = false) {
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (lines && (found[0] === "\n" || found[0] === "\t")) continue;
    const at = found.index ?? 0;
    if (at > from) parent.appendChild(document.createTextNode(text.slice(from, at)));
    const mark = document.createElement("span");
    mark.className = "ctl";
    mark.textContent = markOf(found[0]);
    parent.appendChild(mark);
    from = at + found[0].length;
  }
  if (from < text.length || from === 0) parent.appendChild(document.createTextNode(text.slice(from)));
}

/**
 * Appends a template with its masks tinted.
 * @param {Node} parent
 * @param {string} text
 */
export function appendTemplate(parent, text) {
  let from = 0;
  let masks = 0;
  for (const found of text.matchAll(MASK)) {
    if (++masks > MASKS_MAX) break;
    const at = found.index ?? 0;
    if (at > from) appendText(parent, text.slice(from, at));
    const mask = document.createElement("span");
    mask.className = "mask";
    mask.textContent = found[0];
    parent.appendChild(mask);
    from = at + found[0].length;
  }
  if (from < text.length) appendText(parent, text.slice(from));
}

/**
 * Returns text for an attribute or a title: hidden characters as marks, at most 600 characters.
 * @param {string} text
 */
export function plain(text) {
  return text.slice(0, 600).replace(HIDDEN, markOf);
}

/** @param {string} character */
function markOf(character) {
  const code = character.charCodeAt(0);
  if (code < 0xa0) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} props
 * @param {...Node} children
 * @returns {SVGElement}
 */
export function svg(tag, props, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Returns the element with this id, which the document always has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element;
}
