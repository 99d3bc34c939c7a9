const SKEW_IGNORED_MS = 2_000;
const BEHIND_MS = 3_000;
const QUIET_MS = 5_000;

/**
 * Estimates the service's clock from the timestamps of its events, and how far the page is behind.
 *
 * The fastest event of a connection gives the offset between the two clocks; a slower event was late by the difference.
 */
export class ServiceClock {
  #offset = null;
  #late = 0;
  #heardAt = 0;

  /** Start again: each connection has its own delay, and the local clock may have been set since. */
  reset() {
    this.#offset = null;
    this.#late = 0;
  }

  /** Record an event with this `timestamp` (ISO 8601) that arrived at `now` (local milliseconds). */
  heard(timestamp, now = Date.now()) {
    const offset = now - Date.parse(timestamp);
    if (Number.isNaN(offset)) return;
    if (this.#offset === null || offset < this.#offset) this.#offset = offset;
    this.#late = offset - this.#offset;
    this.#heardAt = now;
  }

  /** Return the service's time in milliseconds. */
  now(here = Date.now()) {
    return Math.abs(this.#offset ?? 0) > SKEW_IGNORED_MS ? here - this.#offset : here;
  }

  /** Return how many seconds the page is behind; 0 below the threshold. */
  behindSeconds(here = Date.now()) {
    // After a quiet time no event is outstanding, so the page is up to date.
    if (this.#late < BEHIND_MS || here - this.#heardAt > QUIET_MS) return 0;
    return Math.floor(this.#late / 1000);
  }
}
