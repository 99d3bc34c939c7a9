import { onPress, setAttribute, setHidden, setText, setUsable } from "./dom.js";
import { count } from "./format.js";
import { HistoryRow } from "./history-row.js";
import { KeyedList, fileKey } from "./keyed-list.js";

const PAGE = 50;
const DEBOUNCE_MS = 250;
const FIRST_FILES_MS = 1_000;
const BAD_REQUEST = 400;

/**
 * The search over all files, one page at a time, so that ten thousand files cost as much as fifty.
 *
 * `search(query, signal)` returns the body of `GET /files`. A new search aborts the one before.
 */
export class History {
  #before = []; // the offsets where the pages from the second to the shown one begin
  #next = null;
  #timer = null;
  #searching = null;
  #shownAt = null;
  #newest = null;
  #empty = true; // no file has been found yet
  #filterIds = new Set(); // ids in the pipeline filter

  constructor(search, now) {
    this.search = search;
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

  /** Set the offset of the last event, and the pipelines to choose from. */
  update(offset, pipelineIds) {
    this.#newest = offset;
    this.#addToFilter(pipelineIds);
    const changed = offset !== this.#shownAt;
    if (this.section.hidden) {
      setHidden(this.section, false);
      this.#load([]);
    } else if (this.#empty && changed && this.#timer === null && this.#searching === null) {
      this.#loadIn(FIRST_FILES_MS); // an empty list may be filled: nothing on the page jumps
    }
    setUsable(this.refresh, changed && this.#before.length === 0);
  }

  tick(now) {
    this.list.tick(now);
  }

  /** Clear the page: the next token may not allow these files. */
  close() {
    clearTimeout(this.#timer);
    this.#searching?.abort();
    this.#timer = this.#searching = this.#shownAt = null;
    this.#show([], null);
    setHidden(this.section, true);
  }

  #loadIn(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load([]), milliseconds);
  }

  async #turnTo(before) {
    await this.#load(before);
    this.section.scrollIntoView({ block: "start" }); // a new page is read from its first line
  }

  /** Show the page of the current search that begins after the last of `before`. */
  async #load(before) {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#searching?.abort();
    const searching = (this.#searching = new AbortController());
    const newest = this.#newest;
    const query = this.#query(before);
    setAttribute(this.rows, "aria-busy", "true");
    try {
      const { files, next } = await this.search(query, searching.signal);
      if (searching !== this.#searching) return;
      this.#shownAt = newest;
      this.#before = before;
      this.#empty = files.length === 0 && query.size === 1;
      this.#show(files, next);
      setHidden(this.error, true);
    } catch (error) {
      if (searching !== this.#searching) return;
      // The offset is of a journal that is gone: start from the first page of the new one.
      if (error.status === BAD_REQUEST && before.length) return this.#load([]);
      setText(this.error, error.message);
      setHidden(this.error, false);
    }
    this.#searching = null;
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

  #addToFilter(pipelineIds) {
    const select = this.form.elements.pipeline_id;
    for (const id of pipelineIds) {
      if (this.#filterIds.has(id)) continue;
      this.#filterIds.add(id);
      select.append(new Option(id, id));
    }
    setHidden(this.pipelines, select.options.length < 3); // "All", and at least two pipelines
  }
}
