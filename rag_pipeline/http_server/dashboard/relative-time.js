import { el, setAttribute, setText } from "./dom.js";
import { UNKNOWN, ago, dateTime, span } from "./format.js";

/** A time shown relative to now; its title is the exact time. */
class RelativeTime {
  #at = null;

  constructor(className = "") {
    this.node = el("time", className);
  }

  /** Show the time (ISO 8601 or null) relative to `now`, the service's time in milliseconds. */
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
export class Ago extends RelativeTime {
  relative(seconds) {
    return ago(seconds);
  }
}

/** How long ago something began. */
export class Elapsed extends RelativeTime {
  relative(seconds) {
    return span(seconds);
  }
}

/** How long it is until something. */
export class Until extends RelativeTime {
  relative(seconds) {
    return seconds < 0 ? `in ${span(-seconds)}` : "due now";
  }
}

/** Return a node with the local date and time; its title is the exact time. */
export function exact(iso) {
  if (iso === null) return UNKNOWN;
  const node = el("time", "", dateTime(Date.parse(iso)));
  node.dateTime = node.title = iso;
  return node;
}
