import { onPress, setAttribute, setHidden, setText, setUsable } from "./dom.js";
import { count } from "./format.js";
import { HistoryRow } from "./history-row.js";
import { KeyedList, fileKey } from "./keyed.js";

const PAGE = 50;
const DEBOUNCE_MS = 250;
const FIRST_FILES_MS = 1_000;
const BAD_REQUEST = 400;

/**
 * The search over every file: a page at a time, so that ten thousand files cost what fifty do.
 *
 * `ask(query, signal)` returns the answer of `GET /files`. What is asked for last wins: an earlier question is aborted.
 */
export class History {
  #before = []; // where the pages up to the one that is shown begin, but for the first
  #next = null;
  #timer = null;
  #asking = null;
  #shownAt = null;
  #newest = null;
  #waiting = true; // for the first files there are
  #offered = new Set(); // ids of pipelines to choose from

  constructor(ask, now) {
    this.ask = ask;
    this.section = document.getElementById("history");
    this.form = document.getElementById("search");
    this.pipelines = document.getElementById("search-pipeline");
    this.error = document.getElementById("history-error");
    this.counted = document.getElementById("history-count");
    this.refresh = document.getElementById("history-refresh");
    this.newer = document.getElementById("history-newer");
    this.older = document.getElementById("history-older");
    this.rows = document.getElementById("history-rows");
    this.list = new KeyedList(this.rows, () => new HistoryRow(now));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#load([]);
    });
    this.form.addEventListener("input", () => this.#loadIn(DEBOUNCE_MS));
    onPress(this.refresh, () => this.#load([]));
    onPress(this.older, () => this.#turnTo([...this.#before, this.#next]));
    onPress(this.newer, () => this.#turnTo(this.#before.slice(0, -1)));
  }

  /** Note the offset of the last event, and which pipelines there are. */
  note(offset, pipelineIds) {
    this.#newest = offset;
    this.#offer(pipelineIds);
    const changed = offset !== this.#shownAt;
    if (this.section.hidden) {
      setHidden(this.section, false);
      this.#load([]);
    } else if (this.#waiting && changed && this.#timer === null && this.#asking === null) {
      this.#loadIn(FIRST_FILES_MS); // nothing is shown yet that could jump
    }
    setUsable(this.refresh, changed && this.#before.length === 0);
  }

  tick(now) {
    this.list.tick(now);
  }

  /** Forget what is shown: it may not be for the next who looks. */
  close() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#timer = this.#asking = this.#shownAt = null;
    this.#show([], null);
    setHidden(this.section, true);
  }

  #loadIn(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load([]), milliseconds);
  }

  async #turnTo(before) {
    await this.#load(before);
    this.section.scrollIntoView({ block: "start" }); // who turns the page reads it from its first line
  }

  /** Show the page of the current search that begins after the last of `before`. */
  async #load(before) {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const newest = this.#newest;
    const query = this.#query(before);
    setAttribute(this.rows, "aria-busy", "true");
    try {
      const { files, next } = await this.ask(query, asking.signal);
      if (asking !== this.#asking) return;
      this.#shownAt = newest;
      this.#before = before;
      this.#waiting = files.length === 0 && query.size === 1;
      this.#show(files, next);
      setHidden(this.error, true);
    } catch (error) {
      if (asking !== this.#asking) return;
      // Offsets of a journal that is gone lead nowhere: the service has begun another one.
      if (error.status === BAD_REQUEST && before.length) return this.#load([]);
      setText(this.error, error.message);
      setHidden(this.error, false);
    }
    this.#asking = null;
    setAttribute(this.rows, "aria-busy", null);
  }

  #query(before) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    for (const [name, value] of new FormData(this.form)) if (value.trim()) query.set(name, value.trim());
    if (before.length) query.set("before", before.at(-1));
    return query;
  }

  #show(files, next) {
    const first = this.#before.length * PAGE;
    const none = first ? "No older files." : "No files.";
    this.#next = next;
    this.list.update(files, (file) => `${file.pipeline_id} ${fileKey(file)}`);
    setText(this.counted, files.length ? `Files ${count(first + 1)} to ${count(first + files.length)}` : none);
    setUsable(this.refresh, false);
    setUsable(this.newer, first > 0);
    setUsable(this.older, next !== null);
  }

  #offer(pipelineIds) {
    const select = this.form.elements.pipeline_id;
    for (const id of pipelineIds) {
      if (this.#offered.has(id)) continue;
      this.#offered.add(id);
      select.append(new Option(id, id));
    }
    setHidden(this.pipelines, select.options.length < 3); // all of them, and two to choose from
  }
}
