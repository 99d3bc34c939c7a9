import { ControlBar, Retry } from "./asking.js";
import { Badge } from "./badge.js";
import { Checks } from "./checks.js";
import { el, setAttribute, setHidden, setText } from "./dom.js";
import { Figures } from "./figures.js";
import { DoneRow, FailureSummary, OpenableRow, effort, reason } from "./files.js";
import { FlightList } from "./flight.js";
import { count, words } from "./format.js";
import { KeyedList, fileKey } from "./keyed.js";

/** One pipeline: its state, its checks, its figures, and its files. */
export class PipelineCard {
  /**
   * `now` returns the service's time in milliseconds, `live` whether the page hears of all that happens, and `control`
   * knows what the pipeline of this id can be asked for.
   */
  constructor(now, live, control, pipelineId) {
    this.type = el("p", "eyebrow");
    this.name = el("h2");
    this.badge = new Badge();
    this.message = el("p", "message");
    this.control = new ControlBar(control, pipelineId);
    this.checks = new Checks(now);
    this.figures = new Figures(live);
    this.flight = new FlightList(now);
    this.failed = new DoneList("Failed", () => new FailedRow(now, new Retry(control, pipelineId)));
    this.completed = new DoneList("Completed", () => new DoneRow(now, effort));
    this.skipped = new DoneList("Skipped", () => new DoneRow(now, reason));
    const title = el("div", "title", this.type, this.name);
    const head = el("header", "card-head", title, this.badge.node, this.checks.node);
    const lists = el("div", "done", this.failed.node, this.completed.node, this.skipped.node);
    const parts = [this.message, this.control.node, this.figures.node, this.flight.node];
    this.node = el("article", "panel card", head, ...parts, lists);
  }

  update(state) {
    setText(this.type, state.pipeline_type === null ? "Pipeline" : words(state.pipeline_type));
    setText(this.name, state.pipeline_id);
    setAttribute(this.node, "aria-label", `Pipeline ${state.pipeline_id}`);
    this.badge.show(state.status);
    const message = typeof state.message === "string" ? state.message : "";
    setText(this.message, message);
    setHidden(this.message, message === "");
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
    for (const part of [this.control, this.checks, this.figures, this.flight, ...lists]) part.tick(now);
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
