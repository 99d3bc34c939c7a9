import { el, setAttribute, setText } from "./dom.js";
import { UNKNOWN, ago, dateTime, span } from "./format.js";

/** A time in the page that is told relative to now; its title is the exact one. */
class Moment {
  #at = null;

  constructor(className = "") {
    this.node = el("time", className);
  }

  /** Show the time (ISO 8601, or null) as seen from `now`, the service's in milliseconds. */
  set(iso, now) {
    this.#at = iso === null ? null : Date.parse(iso);
    setAttribute(this.node, "datetime", iso);
    setAttribute(this.node, "title", iso);
    this.tick(now);
  }

  tick(now) {
    setText(this.node, this.#at === null ? UNKNOWN : this.relative((now - this.#at) / 1000));
  }
}

/** How long ago something was. */
export class Ago extends Moment {
  relative(seconds) {
    return ago(seconds);
  }
}

/** How long something has been going on. */
export class Elapsed extends Moment {
  relative(seconds) {
    return span(seconds);
  }
}

/** How long it is until something. */
export class Until extends Moment {
  relative(seconds) {
    return seconds < 0 ? `in ${span(-seconds)}` : "due now";
  }
}

/** Return date and time where the reader is; its title is the exact one. */
export function exact(iso) {
  if (iso === null) return UNKNOWN;
  const node = el("time", "", dateTime(Date.parse(iso)));
  node.dateTime = node.title = iso;
  return node;
}
