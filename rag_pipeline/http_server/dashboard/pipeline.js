import { Badge } from "./badge.js";
import { Brief } from "./brief.js";
import { DoneCounts } from "./done.js";
import { el, setAttribute, setText } from "./dom.js";
import { words } from "./format.js";
import { PipelineWork } from "./work.js";

/**
 * One pipeline. Open, it shows everything; closed, it is a row with its state and its main figures.
 *
 * Where there are few pipelines all are open; where there are many, a card is open if someone opened it or works in it.
 * What is not open has no nodes for its files, and what is not open and in sight is drawn with the list's next round.
 */
export class PipelineCard {
  #state = null;
  #shown = null;
  #many = false;
  #chosen = false;
  #inSight = true; // until the browser says otherwise
  #done = new DoneCounts();
  #brief = null;
  #work = null;

  /**
   * `surroundings` has `now`, which returns the service's time in milliseconds, `live`, which returns whether the page
   * hears of all that happens, `control`, which knows what pipelines can be asked for, and `later`, which is given a
   * card that has something to draw and can wait.
   */
  constructor(surroundings, pipelineId) {
    this.surroundings = surroundings;
    this.id = pipelineId;
    this.type = el("p", "eyebrow");
    this.text = el("span", "", pipelineId);
    this.toggle = el("button", "plain toggle");
    this.toggle.type = "button";
    this.toggle.addEventListener("click", () => this.#choose(!this.#chosen));
    this.name = el("h2", "", this.text);
    this.badge = new Badge();
    this.head = el("header", "card-head", el("div", "title", this.type, this.name), this.badge.node);
    this.node = el("article", "panel card", this.head);
    setAttribute(this.node, "aria-label", `Pipeline ${pipelineId}`);
  }

  get open() {
    return !this.#many || this.#chosen;
  }

  /** Take note of the state; it is drawn now, or with the next round if nobody looks at all of it. */
  update(state) {
    const first = this.#state === null;
    this.#state = state;
    if (first || (this.open && this.#inSight)) this.draw();
    else this.surroundings.later(this);
  }

  /** Show the newest state, if it is not shown yet. */
  draw() {
    if (this.#shown === this.#state) return;
    this.#shown = this.#state;
    const state = this.#state;
    setText(this.type, state.pipeline_type === null ? "Pipeline" : words(state.pipeline_type));
    this.badge.show(state.status);
    this.#look();
    this.#fit();
    if (this.open) this.#work.update(state);
    else this.#brief.update(state);
  }

  tick(now) {
    // What comes in a lump after a break is spread over the break: it is not looked in between.
    if (this.surroundings.live()) this.#look();
    if (this.#inSight || !this.#many) this.#work?.tick(now);
  }

  /** Be one of many, or one of few. */
  beAmong(many) {
    if (this.#many === many) return;
    this.#many = many;
    if (many) this.toggle.append(this.text);
    this.name.replaceChildren(many ? this.toggle : this.text);
    this.#redraw();
  }

  /** Be told whether the card is where someone may see it. */
  beInSight(inSight) {
    if (this.#inSight === inSight) return;
    this.#inSight = inSight;
    if (!inSight) return;
    this.draw();
    this.#work?.tick(this.surroundings.now());
  }

  #choose(open) {
    this.#chosen = open;
    this.#redraw();
  }

  #redraw() {
    this.#shown = null;
    if (this.#state !== null) this.draw();
  }

  /** Have the parts that are shown now, and no others. */
  #fit() {
    const { open } = this;
    this.node.classList.toggle("closed", !open);
    setAttribute(this.toggle, "aria-expanded", String(open));
    if (open && this.#work === null) this.#unfold();
    if (!open && this.#brief === null) this.#fold();
  }

  #unfold() {
    this.#brief?.node.remove();
    this.#brief = null;
    this.#work = new PipelineWork(this.surroundings, this.id, this.#done);
    this.head.append(this.#work.checks.node);
    this.node.append(...this.#work.nodes);
    // Nothing folds up under the hands of who works in it, should others join.
    for (const node of this.#work.nodes) node.addEventListener("focusin", () => (this.#chosen = true));
  }

  #fold() {
    for (const node of [...(this.#work?.nodes ?? []), this.#work?.checks.node]) node?.remove();
    this.#work = null;
    this.#brief = new Brief();
    this.head.append(this.#brief.node);
  }

  #look() {
    const { total_processed, total_failed, total_skipped } = this.#shown;
    this.#done.look(total_processed + total_failed + total_skipped, performance.now() / 1000);
  }
}
