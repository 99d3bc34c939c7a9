import { setAttribute, svg } from "./dom.js";
import { BUCKETS, BUCKET_SECONDS } from "./done-counts.js";
import { rate } from "./format.js";

const BAR = 4;
const GAP = 2;
const HEIGHT = 28;

/** Bars of files per minute, one for each bucket; an empty bucket is a hairline. */
export class Sparkline {
  #bars = [];
  #peak = svg("title");

  constructor() {
    const width = BUCKETS * (BAR + GAP) - GAP;
    const box = { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "xMaxYMax meet" };
    this.node = svg("svg", { ...box, class: "sparkline", role: "img" });
    this.node.append(this.#peak);
    for (let index = 0; index < BUCKETS; index += 1) {
      const bar = svg("rect", { x: index * (BAR + GAP), width: BAR, rx: 1 });
      this.#bars.push(bar);
      this.node.append(bar);
    }
    this.show(new Array(BUCKETS).fill(0));
  }

  /** Show files per minute in each bucket, oldest first. */
  show(perMinute) {
    const peak = Math.max(...perMinute);
    const minutes = (BUCKETS * BUCKET_SECONDS) / 60;
    const label = `Files per minute over the last ${minutes} minutes; at most ${rate(peak)}`;
    if (this.#peak.textContent !== label) this.#peak.textContent = label;
    perMinute.forEach((value, index) => {
      const height = value > 0 ? Math.max(2, (value / peak) * HEIGHT) : 1;
      const text = height.toFixed(1);
      setAttribute(this.#bars[index], "height", text);
      setAttribute(this.#bars[index], "y", (HEIGHT - height).toFixed(1));
      setAttribute(this.#bars[index], "class", value > 0 ? "some" : "none");
    });
  }
}
