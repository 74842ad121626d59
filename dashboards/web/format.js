// @ts-check
// Numbers, times and versions as people read them. All times are UTC.

const whole = new Intl.NumberFormat("en");

/** @param {number} value */
export function exact(value) {
  return whole.format(value);
}

/** @param {number} value */
export function count(value) {
  if (value < 1e6) return whole.format(value);
  if (value < 1e9) return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M`;
  return `${(value / 1e9).toFixed(value < 1e10 ? 2 : 1)} G`;
}

/** @param {number} value */
export function rate(value) {
  if (value === 0) return "0";
  if (value < 0.1) return "<0.1";
  return value < 10 ? value.toFixed(1) : count(Math.round(value));
}

/** @param {number} value */
export function ratio(value) {
  if (value >= 1000) return "×999+";
  return `×${value < 10 ? value.toFixed(1) : Math.round(value)}`;
}

/** @param {number} bytes */
export function bytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/** @param {number} seconds */
export function span(seconds) {
  const value = Math.max(0, seconds);
  if (value < 60) return `${Math.floor(value)}s`;
  if (value < 3600) return `${Math.floor(value / 60)}m`;
  if (value < 172_800) return `${Math.floor(value / 3600)}h`;
  return `${Math.floor(value / 86_400)}d`;
}

/** @param {number} seconds */
export function latency(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return span(seconds);
}

/** @param {string} time */
export function millis(time) {
  return Date.parse(time);
}

/** @param {string | number} time */
export function stamp(time) {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** @param {string | number} time */
export function hour(time) {
  return new Date(time).toISOString().slice(11, 16);
}

/** @param {string | number} time */
export function dayHour(time) {
  return new Date(time).toISOString().slice(5, 16).replace("T", " ");
}

/**
 * Returns versions without the part that all of them share: `wmf.11` for `1.27.0-wmf.11`.
 * @param {string} version
 */
export function shortVersion(version) {
  const at = version.indexOf("-");
  return at > 0 && at < version.length - 1 ? version.slice(at + 1) : version;
}
