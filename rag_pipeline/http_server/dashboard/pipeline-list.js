import { setHidden } from "./dom.js";
import { KeyedList } from "./keyed-list.js";
import { PipelineCard } from "./pipeline-card.js";

/** Up to this many pipelines are shown open; with more, each is a row that opens. */
export const MAX_OPEN = 5;
/** How often closed cards and cards out of view are drawn. */
const ROUND_MS = 500;
const SLICE_MS = 8;
/** Cards this close to the viewport are kept up to date, so that nobody scrolls to old figures. */
const MARGIN = "200px";

/** The cards of all pipelines, in the order of their ids. */
export class PipelineList {
  #order = new Intl.Collator().compare;
  #cards = new WeakMap();
  #waiting = new Set();
  #timer = null;
  #many = false;

  /** For the context see {@link PipelineCard}. */
  constructor(parent, context) {
    this.parent = parent;
    this.context = { ...context, drawLater: (card) => this.#drawLater(card) };
    this.list = new KeyedList(parent, (state) => this.#create(state.pipeline_id));
    this.skip = document.getElementById("skip-pipelines");
    this.observer = new IntersectionObserver((entries) => this.#setInView(entries), { rootMargin: MARGIN });
  }

  update(states) {
    const many = states.length > MAX_OPEN;
    if (many !== this.#many) this.#setMany(many);
    this.list.update(states.toSorted(this.#byId), (state) => state.pipeline_id);
  }

  tick(now) {
    this.list.tick(now);
  }

  #byId = (one, other) => this.#order(one.pipeline_id, other.pipeline_id);

  #create(pipelineId) {
    const card = new PipelineCard(this.context, pipelineId);
    card.setMany(this.#many);
    this.#cards.set(card.node, card);
    this.observer.observe(card.node);
    return card;
  }

  #setMany(many) {
    this.#many = many;
    this.parent.classList.toggle("many", many);
    setHidden(this.skip, !many);
    for (const node of this.parent.children) this.#cards.get(node).setMany(many);
  }

  #setInView(entries) {
    for (const { target, isIntersecting } of entries) {
      if (target.isConnected) this.#cards.get(target).setInView(isIntersecting);
      else this.observer.unobserve(target);
    }
  }

  #drawLater(card) {
    this.#waiting.add(card);
    this.#timer ??= setTimeout(() => this.#beginRound(), ROUND_MS);
  }

  #beginRound() {
    const cards = [...this.#waiting];
    this.#waiting.clear();
    this.#draw(cards);
  }

  /** Draw the cards in time slices, so that the browser can paint and take in events in between. */
  #draw(cards) {
    const until = performance.now() + SLICE_MS;
    while (cards.length > 0 && performance.now() < until) cards.pop().draw();
    if (cards.length > 0) this.#timer = setTimeout(() => this.#draw(cards));
    else this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#beginRound(), ROUND_MS) : null;
  }
}
