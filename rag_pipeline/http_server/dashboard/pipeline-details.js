import { ControlBar, RetryButton } from "./action-button.js";
import { Checks } from "./checks.js";
import { el, setHidden, setText } from "./dom.js";
import { Figures } from "./figures.js";
import { CompletedSummary, FailureSummary, FileRow, OpenableRow, effort, reason } from "./file-rows.js";
import { count } from "./format.js";
import { HeldDeletions } from "./held-deletions.js";
import { InFlightList } from "./in-flight.js";
import { KeyedList, fileKey } from "./keyed-list.js";
import { warningsOf } from "./verdict.js";

/** The details of a pipeline in an open card: controls, checks, figures and files. */
export class PipelineDetails {
  /** `doneCounts` counts finished files; for the context see {@link PipelineCard}. */
  constructor({ now, control }, pipelineId, doneCounts) {
    this.checks = new Checks(now);
    this.message = el("p", "message");
    this.deletions = new HeldDeletions(control, pipelineId);
    this.control = new ControlBar(control, pipelineId);
    this.figures = new Figures(doneCounts);
    this.inFlight = new InFlightList(now);
    this.failed = new FileList("Failed", () => new FailedRow(now, new RetryButton(control, pipelineId)));
    this.completed = new FileList("Completed", (file) => completedRow(now, file));
    this.skipped = new FileList("Skipped", () => new FileRow(now, reason));
    const lists = el("div", "done", this.failed.node, this.completed.node, this.skipped.node);
    this.nodes = [this.message, this.control.node, this.deletions.node, this.figures.node, this.inFlight.node, lists];
  }

  update(state) {
    const message = typeof state.message === "string" ? state.message : "";
    setText(this.message, message);
    setHidden(this.message, message === "");
    this.deletions.update(state);
    this.control.update(state);
    this.checks.update(state);
    this.figures.update(state);
    this.inFlight.update(state);
    this.failed.update(state.files_failed, state.total_failed);
    this.completed.update(state.files_completed, state.total_processed);
    this.skipped.update(state.files_skipped, state.total_skipped);
  }

  tick(now) {
    const parts = [this.control, this.deletions, this.checks, this.figures, this.inFlight];
    for (const part of [...parts, this.failed, this.completed, this.skipped]) part.tick(now);
  }
}

/** Return a row that opens for a file with warnings, else a plain one. */
function completedRow(now, file) {
  return warningsOf(file).length ? new OpenableRow(now, new CompletedSummary()) : new FileRow(now, effort);
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

class FileList {
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
    this.list.update(files.toReversed(), (file) => `${fileKey(file)} ${file.completed_at}`);
  }

  tick(now) {
    this.list.tick(now);
  }
}
