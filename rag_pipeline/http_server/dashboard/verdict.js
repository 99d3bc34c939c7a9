import { el } from "./dom.js";
import { UNKNOWN, number, share, words } from "./format.js";

/** Return the warnings of a file; none if an older process reported it. */
export function warningsOf(file) {
  return file.warnings ?? [];
}

/** Return how many warnings a file has, and the first one; "" if it has none. */
export function warningText(file) {
  const warnings = warningsOf(file);
  if (warnings.length === 0) return "";
  return `${warnings.length === 1 ? "Warning" : `${warnings.length} warnings`}: ${warnings[0].message}`;
}

/** Return a list of all warnings, each with its type and count. */
export function warningList(file) {
  const items = warningsOf(file).map(({ type, message, count }) => {
    const cases = count === 1 ? type : `${type}, ${number(count)} cases`;
    return el("li", "", message, " ", el("span", "quiet", `(${cases})`));
  });
  return el("ul", "warnings", ...items);
}

/** Return name and value of each figure about a file's text. */
export function qualityFacts(file) {
  const figures = Object.entries(file.quality ?? {}).filter(([, value]) => value !== null);
  return figures.map(([name, value]) => [words(name), figureText(name, value)]);
}

function figureText(name, value) {
  if (typeof value !== "number") return UNKNOWN;
  return name === "odd_characters" ? share(value) : number(value);
}
