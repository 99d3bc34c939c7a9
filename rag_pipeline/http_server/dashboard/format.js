/** Formats numbers, times and statuses; pure functions. */

const COUNT = new Intl.NumberFormat("en");
const RATE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
const SHARE = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 2 });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const TONES = {
  initializing: "neutral",
  scanning: "active",
  running: "active",
  processing: "active",
  idle: "good",
  completed: "good",
  paused: "warn",
  skipped: "neutral",
  deleted: "neutral",
  stopped: "neutral",
  stalled: "bad",
  error: "bad",
  failed: "bad",
};

/** Stands for an unknown value. */
export const UNKNOWN = "–";

/** Return the tone of a status: good, active, warn, bad or neutral. */
export function toneOf(status) {
  return Object.hasOwn(TONES, status) ? TONES[status] : "neutral";
}

/** Return a status or stage as words: `waiting_for_quota` becomes "Waiting for quota". */
export function words(name) {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function count(number) {
  return number === null ? UNKNOWN : COUNT.format(number);
}

export function rate(number) {
  return number === null ? UNKNOWN : RATE.format(number);
}

/** Return a number of any kind. */
export function number(value) {
  return NUMBER.format(value);
}

/** Return a share of 1 as a percentage with its decimals: 0.15%. */
export function share(value) {
  return SHARE.format(value);
}

/** Return the fraction as a percentage that reaches 100 only at the end. */
export function percent(fraction) {
  return fraction === null ? "" : `${Math.floor(fraction * 100)}%`;
}

/** Return a size in a readable unit: 48 kB, 3.1 MB. */
export function bytes(size) {
  if (size === null) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = size;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Return a length of time in its two largest units: 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([length]) => whole >= length);
  const [long, name] = units[first];
  const [short, smaller] = units[first + 1];
  const rest = Math.floor((whole % long) / short);
  return `${Math.floor(whole / long)} ${name}${rest ? ` ${rest} ${smaller}` : ""}`;
}

/** Return a file's duration, with fractions of a second if it is short. */
export function duration(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : span(seconds);
}

/** Return how long ago something was, in one unit. */
export function ago(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s ago`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ago`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ago`;
  return `${Math.floor(whole / 86400)} d ago`;
}

/** Return the local time of day. */
export function clockTime(milliseconds) {
  return TIME.format(milliseconds);
}

/** Return the local date and time. */
export function dateTime(milliseconds) {
  return DATE_TIME.format(milliseconds);
}
