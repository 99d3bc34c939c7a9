import { el, setHidden, setText } from "./dom.js";
import { UNKNOWN, count, rate, span } from "./format.js";
import { Sparkline } from "./sparkline.js";

/** The figures of a pipeline: files by state, rate and time left. */
export class Figures {
  /** `doneCounts` counts the files that ended while the page was open. */
  constructor(doneCounts) {
    this.doneCounts = doneCounts;
    this.queued = el("dd");
    this.inFlight = el("dd");
    this.completed = el("dd");
    this.warned = el("dd", "warn");
    this.failed = el("dd");
    this.skipped = el("dd");
    this.deleted = el("dd");
    this.rate = el("span");
    this.left = el("dd");
    this.sparkline = new Sparkline();
    this.warnedFigure = figure("With warnings", this.warned);
    this.deletedFigure = figure("Deleted", this.deleted);
    this.node = el(
      "dl",
      "figures",
      figure("Queued", this.queued),
      figure("In flight", this.inFlight),
      figure("Completed", this.completed),
      this.warnedFigure,
      figure("Failed", this.failed),
      figure("Skipped", this.skipped),
      this.deletedFigure,
      figure("Time left", this.left),
      figure("Files per minute", el("dd", "rate", this.rate, this.sparkline.node)),
    );
  }

  update(state) {
    setText(this.queued, count(state.files_queued));
    setText(this.inFlight, count(state.files_in_flight));
    setText(this.completed, count(state.total_processed));
    const warned = state.total_with_warnings ?? 0; // an older process does not report it
    setText(this.warned, count(warned));
    setHidden(this.warnedFigure, warned === 0);
    setText(this.failed, count(state.total_failed));
    this.failed.classList.toggle("bad", state.total_failed > 0);
    setText(this.skipped, count(state.total_skipped));
    setText(this.deleted, count(state.total_deleted));
    setHidden(this.deletedFigure, state.total_deleted === 0);
    setText(this.rate, rate(state.files_per_minute));
    setText(this.left, timeLeft(state));
  }

  tick() {
    this.sparkline.show(this.doneCounts.perMinute());
  }
}

/** Return the pipeline's estimated time left. */
export function timeLeft(state) {
  if (state.eta_seconds === null) return UNKNOWN;
  return state.eta_seconds === 0 ? "Done" : span(state.eta_seconds);
}

function figure(name, value) {
  return el("div", "figure", el("dt", "", name), value);
}
