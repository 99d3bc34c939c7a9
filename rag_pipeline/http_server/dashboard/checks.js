import { el, setHidden, setText } from "./dom.js";
import { Ago, Until } from "./relative-time.js";

const MAX_OWN_FIELDS = 6;
const MAX_CHARACTERS = 80;

// Fields that the page shows elsewhere, or that are meant for programs.
const SHOWN_ELSEWHERE = new Set([
  "pipeline_id", "pipeline_type", "status", "epoch", "seq", "started_at", "last_activity", "last_check_time",
  "next_check_time", "seconds_until_next_check", "check_interval", "is_checking", "files_in_flight", "files_processing",
  "files_completed", "files_failed", "files_skipped", "total_processed", "total_failed", "total_skipped",
  "total_deleted", "total_with_warnings", "files_queued", "files_per_minute", "eta_seconds", "message",
  "deletions_held",
]);

/** The times of the last and next check, and the pipeline's own fields. */
export class Checks {
  constructor(now) {
    this.now = now;
    this.last = new Ago();
    this.next = new Until();
    this.checking = el("span", "", "now");
    this.active = new Ago();
    this.own = new Map();
    this.node = el(
      "dl",
      "checks",
      pair("Last check", this.last.node),
      pair("Next check", this.next.node, this.checking),
      pair("Last activity", this.active.node),
    );
  }

  update(state) {
    const now = this.now();
    this.last.set(state.last_check_time, now);
    this.next.set(state.next_check_time, now);
    this.active.set(state.last_activity, now);
    setHidden(this.checking, !state.is_checking);
    setHidden(this.next.node, state.is_checking);
    this.#showOwn(Object.entries(state).filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null));
  }

  tick(now) {
    for (const time of [this.last, this.next, this.active]) time.tick(now);
  }

  #showOwn(fields) {
    const shown = new Map(fields.slice(0, MAX_OWN_FIELDS));
    for (const [name, own] of this.own) {
      if (shown.has(name)) continue;
      own.node.remove();
      this.own.delete(name);
    }
    for (const [name, value] of shown) {
      if (!this.own.has(name)) {
        const text = el("span");
        const node = pair(name, text);
        this.node.append(node);
        this.own.set(name, { node, text });
      }
      const text = typeof value === "string" ? value : JSON.stringify(value);
      setText(this.own.get(name).text, text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text);
    }
  }
}

function pair(name, ...values) {
  return el("div", "", el("dt", "", name), el("dd", "", ...values));
}
