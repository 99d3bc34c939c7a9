import { el, setText, webLink } from "./dom.js";
import { UNKNOWN, bytes, count, duration, words } from "./format.js";
import { Ago, exact } from "./relative-time.js";
import { qualityFacts, warningList, warningText, warningsOf } from "./verdict.js";

/** A completed or skipped file: its name, a note, and when it ended. */
export class FileRow {
  constructor(now, note) {
    this.now = now;
    this.note = note;
    this.name = el("span", "file-name");
    this.text = el("span", "file-note quiet");
    this.when = new Ago("file-when quiet");
    this.node = el("li", "file", this.name, this.when.node, this.text);
  }

  update(file) {
    setText(this.name, file.name);
    setText(this.text, this.note(file));
    this.when.set(file.completed_at, this.now());
  }

  tick(now) {
    this.when.tick(now);
  }
}

/** A file row that opens to show all its details. */
export class OpenableRow {
  constructor(now, summary) {
    this.now = now;
    this.summary = summary;
    this.details = el("details", "openable", el("summary", "", ...summary.nodes));
    this.body = el("dl", "facts");
    this.details.append(this.body);
    this.details.addEventListener("toggle", () => this.#fill());
    this.node = el("li", "file", this.details);
  }

  get held() {
    return this.details.open;
  }

  update(file) {
    this.summary.update(file, this.now());
    this.#fill();
  }

  tick(now) {
    this.summary.tick(now);
  }

  // Only while it is open: of thousands of rows, only the summaries cost anything.
  #fill() {
    if (this.details.open) this.body.replaceChildren(...facts(this.item));
    else this.body.replaceChildren();
  }
}

/** The summary of a failed file: name, error message and time. */
export class FailureSummary {
  constructor() {
    this.name = el("span", "file-name");
    this.message = el("span", "file-note bad");
    this.when = new Ago("file-when quiet");
    this.nodes = [this.name, this.when.node, this.message];
  }

  update(file, now) {
    setText(this.name, file.name);
    setText(this.message, file.error?.message ?? "");
    this.when.set(file.completed_at, now);
  }

  tick(now) {
    this.when.tick(now);
  }
}

/** The summary of a completed file with warnings: name, time and the first warning. */
export class CompletedSummary {
  constructor() {
    this.name = el("span", "file-name");
    this.note = el("span", "file-note warned");
    this.when = new Ago("file-when quiet");
    this.nodes = [this.name, this.when.node, this.note];
  }

  update(file, now) {
    setText(this.name, file.name);
    setText(this.note, warningText(file));
    this.when.set(file.completed_at, now);
  }

  tick(now) {
    this.when.tick(now);
  }
}

/** Return the note on a skipped file: the reason. */
export function reason(file) {
  return file.error?.message ?? "";
}

/** Return the note on a completed file: its duration and size. */
export function effort(file) {
  const parts = [];
  if (file.duration_seconds !== null) parts.push(`in ${duration(file.duration_seconds)}`);
  if (file.size !== null) parts.push(bytes(file.size));
  return parts.join(", ");
}

function facts(file) {
  const { error, result } = file;
  const rows = [
    warningsOf(file).length > 0 && ["Warnings", warningList(file)],
    ...qualityFacts(file),
    error && ["Type", error.type],
    error && ["Message", error.message],
    ["Stage", stageOf(file)],
    ["Attempts", count(file.attempt)],
    error && error.type !== "Skipped" && ["Retryable", error.retryable ? "Yes" : "No"],
    ["Started", exact(file.started_at)],
    ["Ended", exact(file.completed_at)],
    ["Took", duration(file.duration_seconds)],
    file.size !== null && ["Size", bytes(file.size)],
    file.mime_type !== null && ["Media type", file.mime_type],
    file.id !== null && ["Id", file.id],
    result !== null && ["Result", typeof result === "string" ? result : JSON.stringify(result, null, 1)],
    file.link !== null && ["Source", link(file.link)],
    file.pipeline_id !== undefined && ["Pipeline", file.pipeline_id],
  ];
  return rows.filter(Boolean).map(([name, value]) => el("div", "", el("dt", "", name), el("dd", "", value)));
}

function stageOf(file) {
  const stage = file.error?.stage ?? file.stage;
  return stage === null ? UNKNOWN : words(stage);
}

function link(url) {
  const target = webLink(url);
  if (target === null) return url;
  const anchor = el("a", "", url);
  anchor.href = target;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  return anchor;
}
