import { Badge } from "./badge.js";
import { el, setAttribute, setText } from "./dom.js";
import { DoneCounts } from "./done-counts.js";
import { words } from "./format.js";
import { PipelineDetails } from "./pipeline-details.js";
import { PipelineSummary } from "./pipeline-summary.js";

/**
 * One pipeline. An open card shows everything; a closed one is a row with the status and the main figures.
 *
 * With few pipelines all cards are open; with many, a card is open if someone has opened it or put the focus into it. A
 * closed card has no nodes for files. A card that is closed or out of view is drawn in the list's next round.
 */
export class PipelineCard {
  #state = null;
  #drawn = null;
  #many = false;
  #opened = false;
  #inView = true; // until the browser says otherwise
  #doneCounts = new DoneCounts();
  #summary = null;
  #details = null;

  /**
   * `context` has `now()`, which returns the service's time in milliseconds; `live()`, which tells whether the page is
   * up to date; `control`; and `drawLater(card)`, which draws the card in the next round.
   */
  constructor(context, pipelineId) {
    this.context = context;
    this.id = pipelineId;
    this.type = el("p", "eyebrow");
    this.text = el("span", "", pipelineId);
    this.toggle = el("button", "plain toggle");
    this.toggle.type = "button";
    this.toggle.addEventListener("click", () => this.#setOpen(!this.#opened));
    this.name = el("h2", "", this.text);
    this.badge = new Badge();
    this.head = el("header", "card-head", el("div", "title", this.type, this.name), this.badge.node);
    this.node = el("article", "panel card", this.head);
    setAttribute(this.node, "aria-label", `Pipeline ${pipelineId}`);
  }

  get open() {
    return !this.#many || this.#opened;
  }

  /** Set the state; it is drawn now if the card is open and in view, else in the next round. */
  update(state) {
    const first = this.#state === null;
    this.#state = state;
    if (first || (this.open && this.#inView)) this.draw();
    else this.context.drawLater(this);
  }

  /** Draw the newest state, unless it is drawn already. */
  draw() {
    if (this.#drawn === this.#state) return;
    this.#drawn = this.#state;
    const state = this.#state;
    setText(this.type, state.pipeline_type === null ? "Pipeline" : words(state.pipeline_type));
    this.badge.show(state.status);
    this.#recordDone();
    this.#applyOpen();
    if (this.open) this.#details.update(state);
    else this.#summary.update(state);
  }

  tick(now) {
    // Not during a gap: files that ended in it are spread over the whole gap.
    if (this.context.live()) this.#recordDone();
    if (this.#inView || !this.#many) this.#details?.tick(now);
  }

  /** Set whether the card is one of many. */
  setMany(many) {
    if (this.#many === many) return;
    this.#many = many;
    if (many) this.toggle.append(this.text);
    this.name.replaceChildren(many ? this.toggle : this.text);
    this.#redraw();
  }

  /** Set whether the card is in or near the viewport. */
  setInView(inView) {
    if (this.#inView === inView) return;
    this.#inView = inView;
    if (!inView) return;
    this.draw();
    this.#details?.tick(this.context.now());
  }

  #setOpen(open) {
    this.#opened = open;
    this.#redraw();
  }

  #redraw() {
    this.#drawn = null;
    if (this.#state !== null) this.draw();
  }

  /** Build the parts of an open or a closed card. */
  #applyOpen() {
    const { open } = this;
    this.node.classList.toggle("closed", !open);
    setAttribute(this.toggle, "aria-expanded", String(open));
    if (open && this.#details === null) this.#buildOpen();
    if (!open && this.#summary === null) this.#buildClosed();
  }

  #buildOpen() {
    this.#summary?.node.remove();
    this.#summary = null;
    this.#details = new PipelineDetails(this.context, this.id, this.#doneCounts);
    this.head.append(this.#details.checks.node);
    this.node.append(...this.#details.nodes);
    // A card with the focus stays open when more pipelines join.
    for (const node of this.#details.nodes) node.addEventListener("focusin", () => (this.#opened = true));
  }

  #buildClosed() {
    for (const node of [...(this.#details?.nodes ?? []), this.#details?.checks.node]) node?.remove();
    this.#details = null;
    this.#summary = new PipelineSummary();
    this.head.append(this.#summary.node);
  }

  #recordDone() {
    const { total_processed, total_failed, total_skipped } = this.#drawn;
    this.#doneCounts.record(total_processed + total_failed + total_skipped, performance.now() / 1000);
  }
}
