import { el, setText } from "./dom.js";
import { timeLeft } from "./figures.js";
import { count, rate } from "./format.js";

/** The main figures of a pipeline on one line. */
export class PipelineSummary {
  #values = new Map();

  constructor() {
    this.node = el("dl", "brief");
    for (const name of ["Queued", "In flight", "Completed", "Warnings", "Failed", "Files per minute", "Time left"]) {
      const value = el("dd");
      this.#values.set(name, value);
      this.node.append(el("div", "", el("dt", "", name), value));
    }
  }

  update(state) {
    this.#set("Queued", count(state.files_queued));
    this.#set("In flight", count(state.files_in_flight));
    this.#set("Completed", count(state.total_processed));
    this.#set("Warnings", count(state.total_with_warnings ?? 0));
    this.#set("Failed", count(state.total_failed));
    this.#set("Files per minute", rate(state.files_per_minute));
    this.#set("Time left", timeLeft(state));
    this.#values.get("Warnings").classList.toggle("warn", state.total_with_warnings > 0);
    this.#values.get("Failed").classList.toggle("bad", state.total_failed > 0);
  }

  #set(name, text) {
    setText(this.#values.get(name), text);
  }
}
