import { setAttribute, svg } from "./dom.js";
import { BUCKETS, BUCKET_SECONDS } from "./done.js";
import { rate } from "./format.js";

const BAR = 4;
const GAP = 2;
const HEIGHT = 28;

/** Bars, one for each bucket of done files, with a hairline where there were none. */
export class Sparkline {
  #bars = [];
  #peak = svg("title");

  constructor() {
    const width = BUCKETS * (BAR + GAP) - GAP;
    const box = { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "xMaxYMax meet" };
    this.node = svg("svg", { ...box, class: "sparkline", role: "img" });
    this.node.append(this.#peak);
    for (let place = 0; place < BUCKETS; place += 1) {
      const bar = svg("rect", { x: place * (BAR + GAP), width: BAR, rx: 1 });
      this.#bars.push(bar);
      this.node.append(bar);
    }
    this.show(new Array(BUCKETS).fill(0));
  }

  /** Show files per minute in each bucket, the oldest first. */
  show(perMinute) {
    const peak = Math.max(...perMinute);
    const minutes = (BUCKETS * BUCKET_SECONDS) / 60;
    const label = `Files per minute over the last ${minutes} minutes; at most ${rate(peak)}`;
    if (this.#peak.textContent !== label) this.#peak.textContent = label;
    perMinute.forEach((value, place) => {
      const height = value > 0 ? Math.max(2, (value / peak) * HEIGHT) : 1;
      const text = height.toFixed(1);
      setAttribute(this.#bars[place], "height", text);
      setAttribute(this.#bars[place], "y", (HEIGHT - height).toFixed(1));
      setAttribute(this.#bars[place], "class", value > 0 ? "some" : "none");
    });
  }
}
