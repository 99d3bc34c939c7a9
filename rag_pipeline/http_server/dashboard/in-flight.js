import { el, setAttribute, setHidden, setText } from "./dom.js";
import { bytes, count, percent, words } from "./format.js";
import { KeyedList, fileKey } from "./keyed-list.js";
import { Elapsed } from "./relative-time.js";

const SHOWN_AT_FIRST = 12;
const STEADY_TICKS = 10;

/** The files in flight: the twelve that were started first, and the others on demand. */
export class InFlightList {
  #state = null;
  #all = false;
  #shorterTicks = 0;

  constructor(now) {
    this.now = now;
    this.count = el("span", "chip");
    this.rows = el("ul", "flights");
    this.list = new KeyedList(this.rows, () => new InFlightRow(now));
    this.idle = el("p", "quiet idle", "Nothing is in flight.");
    this.more = el("button", "plain more");
    this.more.type = "button";
    this.more.addEventListener("click", () => this.#toggle());
    this.rest = el("p", "quiet");
    const heading = el("h3", "", "In flight ", this.count);
    this.node = el("section", "in-flight", heading, this.idle, this.rows, this.more, this.rest);
  }

  update(state) {
    this.#state = state;
    const listed = state.files_processing;
    setText(this.count, count(state.files_in_flight));
    setHidden(this.idle, listed.length > 0);
    this.list.update(this.#all ? listed : listed.slice(0, SHOWN_AT_FIRST), fileKey);
    setHidden(this.more, listed.length <= SHOWN_AT_FIRST);
    setText(this.more, this.#all ? "Show fewer" : `Show ${listed.length - SHOWN_AT_FIRST} more`);
    setAttribute(this.more, "aria-expanded", String(this.#all));
    const unlisted = state.files_in_flight - listed.length;
    setHidden(this.rest, unlisted <= 0);
    setText(this.rest, `${count(unlisted)} more, started earlier, are not listed.`);
  }

  tick(now) {
    this.list.tick(now);
    this.#holdHeight();
  }

  #toggle() {
    this.#all = !this.#all;
    this.#shorterTicks = STEADY_TICKS;
    this.update(this.#state);
  }

  // Files that come and go within a second would make everything below jump, so the list shrinks only after some
  // seconds. It is measured once a second, because measuring costs a layout.
  #holdHeight() {
    const last = this.rows.lastElementChild;
    const height = last === null ? 0 : last.offsetTop + last.offsetHeight - this.rows.offsetTop;
    const held = Number.parseFloat(this.rows.style.minHeight) || 0;
    this.#shorterTicks = height < held ? this.#shorterTicks + 1 : 0;
    if (height > held || this.#shorterTicks >= STEADY_TICKS) {
      this.rows.style.minHeight = `${height}px`;
      this.#shorterTicks = 0;
    }
  }
}

class InFlightRow {
  constructor(now) {
    this.now = now;
    this.name = el("span", "flight-name");
    this.size = el("span", "quiet");
    this.attempt = el("span", "chip");
    this.stage = el("span", "flight-stage");
    this.bar = el("progress");
    this.bar.max = 1;
    this.percent = el("span", "flight-percent");
    this.elapsed = new Elapsed("flight-elapsed");
    const what = el("span", "flight-what", this.name, this.size, this.attempt);
    this.node = el("li", "flight", what, this.stage, this.bar, this.percent, this.elapsed.node);
  }

  update(file) {
    setText(this.name, file.name);
    setText(this.size, file.size === null ? "" : bytes(file.size));
    setHidden(this.attempt, file.attempt < 2);
    setText(this.attempt, `Attempt ${file.attempt}`);
    setText(this.stage, file.stage === null ? "Started" : words(file.stage));
    // Without a value the bar shows work of unknown length.
    setAttribute(this.bar, "value", file.progress === null ? null : String(file.progress));
    setAttribute(this.bar, "aria-label", `${file.name}: ${this.stage.textContent}`);
    setText(this.percent, percent(file.progress));
    this.elapsed.set(file.started_at, this.now());
  }

  tick(now) {
    this.elapsed.tick(now);
  }
}
