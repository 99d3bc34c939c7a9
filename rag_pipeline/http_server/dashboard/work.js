import { ControlBar, Retry } from "./asking.js";
import { HeldDeletions } from "./deletions.js";
import { Checks } from "./checks.js";
import { el, setHidden, setText } from "./dom.js";
import { Figures } from "./figures.js";
import { DoneRow, FailureSummary, OpenableRow, effort, reason } from "./files.js";
import { FlightList } from "./flight.js";
import { count } from "./format.js";
import { KeyedList, fileKey } from "./keyed.js";

/** All that an open card shows of a pipeline: its checks, its figures and its files. */
export class PipelineWork {
  /** `done` is what the card has counted; see the card for the others. */
  constructor({ now, control }, pipelineId, done) {
    this.checks = new Checks(now);
    this.message = el("p", "message");
    this.deletions = new HeldDeletions(control, pipelineId);
    this.control = new ControlBar(control, pipelineId);
    this.figures = new Figures(done);
    this.flight = new FlightList(now);
    this.failed = new DoneList("Failed", () => new FailedRow(now, new Retry(control, pipelineId)));
    this.completed = new DoneList("Completed", () => new DoneRow(now, effort));
    this.skipped = new DoneList("Skipped", () => new DoneRow(now, reason));
    const lists = el("div", "done", this.failed.node, this.completed.node, this.skipped.node);
    this.nodes = [this.message, this.control.node, this.deletions.node, this.figures.node, this.flight.node, lists];
  }

  update(state) {
    const message = typeof state.message === "string" ? state.message : "";
    setText(this.message, message);
    setHidden(this.message, message === "");
    this.deletions.update(state);
    this.control.update(state);
    this.checks.update(state);
    this.figures.update(state);
    this.flight.update(state);
    this.failed.update(state.files_failed, state.total_failed);
    this.completed.update(state.files_completed, state.total_processed);
    this.skipped.update(state.files_skipped, state.total_skipped);
  }

  tick(now) {
    const lists = [this.failed, this.completed, this.skipped];
    for (const part of [this.control, this.deletions, this.checks, this.figures, this.flight, ...lists]) part.tick(now);
  }
}

class FailedRow extends OpenableRow {
  constructor(now, retry) {
    super(now, new FailureSummary());
    this.retry = retry;
    this.node.append(retry.node);
  }

  update(file) {
    super.update(file);
    this.retry.update(file);
  }

  tick(now) {
    super.tick(now);
    this.retry.tick();
  }
}

class DoneList {
  constructor(title, create) {
    this.total = el("span", "chip");
    this.rows = el("ul", "files");
    this.list = new KeyedList(this.rows, create);
    this.none = el("p", "quiet idle", "None.");
    this.node = el("section", "", el("h3", "", `${title} `, this.total), this.none, this.rows);
  }

  update(files, total) {
    setText(this.total, count(total));
    setHidden(this.none, files.length > 0);
    // The newest first: the page is read from the top.
    this.list.update(files.toReversed(), (file) => `${fileKey(file)} ${file.completed_at}`);
  }

  tick(now) {
    this.list.tick(now);
  }
}
