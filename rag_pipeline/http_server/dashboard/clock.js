const SKEW_IGNORED_MS = 2_000;
const BEHIND_MS = 3_000;
const QUIET_MS = 5_000;

/**
 * Tells the service's time from the times its events bear, and how far behind it the page is.
 *
 * The quickest event of a connection says how far apart the two clocks are; a slower one says by how much it was late.
 */
export class ServiceClock {
  #apart = null;
  #late = 0;
  #heardAt = 0;

  /** Begin anew: a connection has a delay of its own, and the clock here may have been set since. */
  reset() {
    this.#apart = null;
    this.#late = 0;
  }

  /** Note an event that happened at `timestamp` (ISO 8601) and arrived at `now` (milliseconds here). */
  heard(timestamp, now = Date.now()) {
    const apart = now - Date.parse(timestamp);
    if (Number.isNaN(apart)) return;
    if (this.#apart === null || apart < this.#apart) this.#apart = apart;
    this.#late = apart - this.#apart;
    this.#heardAt = now;
  }

  /** Return the service's time in milliseconds. */
  now(here = Date.now()) {
    return Math.abs(this.#apart ?? 0) > SKEW_IGNORED_MS ? here - this.#apart : here;
  }

  /** Return how many seconds the page is behind; 0 when that is too little to tell anyone. */
  behindSeconds(here = Date.now()) {
    // With nothing more to come, there is nothing to be behind of.
    if (this.#late < BEHIND_MS || here - this.#heardAt > QUIET_MS) return 0;
    return Math.floor(this.#late / 1000);
  }
}
