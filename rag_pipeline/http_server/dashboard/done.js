export const BUCKET_SECONDS = 10;
export const BUCKETS = 30;

/**
 * Counts files that got done while the page was looking: five minutes in buckets of ten seconds.
 *
 * Times are seconds of a clock that does not jump. What got done while the page looked away (a broken connection, a tab
 * in the background) is spread evenly over that time.
 */
export class DoneCounts {
  #counts = new Array(BUCKETS).fill(0);
  #head = null;
  #total = 0;
  #lookedAt = 0;

  /** Note how many files were done in all at this time. */
  look(total, at) {
    const bucket = Math.floor(at / BUCKET_SECONDS);
    if (this.#head === null || total < this.#total) {
      this.#head ??= bucket;
      this.#advance(bucket);
    } else {
      this.#advance(bucket);
      this.#add(total - this.#total, at - this.#lookedAt);
    }
    this.#total = total;
    this.#lookedAt = at;
  }

  /** Return files per minute in each bucket, the oldest first. */
  perMinute() {
    return this.#counts.map((count) => (count * 60) / BUCKET_SECONDS);
  }

  #advance(bucket) {
    const steps = Math.min(Math.max(0, bucket - this.#head), BUCKETS);
    this.#counts.splice(0, steps);
    this.#counts.push(...new Array(steps).fill(0));
    this.#head = Math.max(this.#head, bucket);
  }

  #add(done, seconds) {
    const buckets = Math.min(BUCKETS, 1 + Math.floor(seconds / BUCKET_SECONDS));
    for (let back = 0; back < buckets; back += 1) this.#counts[BUCKETS - 1 - back] += done / buckets;
  }
}
