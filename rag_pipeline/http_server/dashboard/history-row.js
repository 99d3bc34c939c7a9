import { Badge } from "./badge.js";
import { el, setText } from "./dom.js";
import { OpenableRow, effort } from "./file-rows.js";
import { words } from "./format.js";
import { Ago } from "./relative-time.js";
import { warningText, warningsOf } from "./verdict.js";

/** A row of the history. Unlike a row of a live list, it disappears with its page even if it is open. */
export class HistoryRow extends OpenableRow {
  constructor(now) {
    super(now, new FileSummary());
  }

  get held() {
    return false;
  }
}

/** The summary of a history row: name, status, time and a note. */
class FileSummary {
  constructor() {
    this.name = el("span", "file-name");
    this.badge = new Badge();
    this.note = el("span", "file-note quiet");
    this.when = new Ago("file-when quiet");
    this.nodes = [this.name, this.badge.node, this.when.node, this.note];
  }

  update(file, now) {
    setText(this.name, file.name);
    this.badge.show(file.status);
    setText(this.note, noteOn(file));
    const warned = warningsOf(file).length > 0;
    this.note.classList.toggle("warned", warned);
    this.note.classList.toggle("quiet", !warned);
    this.when.set(file.changed_at, now);
  }

  tick(now) {
    this.when.tick(now);
  }
}

function noteOn(file) {
  if (file.error !== null) return file.error.message;
  if (file.status === "processing") return file.stage === null ? "" : words(file.stage);
  return warningText(file) || effort(file);
}
