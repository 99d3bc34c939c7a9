export const BUCKET_SECONDS = 10;
export const BUCKETS = 30;

/**
 * Counts files that ended while the page was open: five minutes in buckets of ten seconds.
 *
 * Times are seconds of a monotonic clock. Files that ended during a gap (a lost connection, a hidden tab) are spread
 * evenly over the gap.
 */
export class DoneCounts {
  #counts = new Array(BUCKETS).fill(0);
  #head = null;
  #total = 0;
  #recordedAt = 0;

  /** Record the total number of ended files at this time. */
  record(total, at) {
    const bucket = Math.floor(at / BUCKET_SECONDS);
    if (this.#head === null || total < this.#total) {
      this.#head ??= bucket;
      this.#advance(bucket);
    } else {
      this.#advance(bucket);
      this.#add(total - this.#total, at - this.#recordedAt);
    }
    this.#total = total;
    this.#recordedAt = at;
  }

  /** Return files per minute in each bucket, oldest first. */
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
