/* Latency histogram, log-linear: 64 steps to each power of two, so a percentile is right to 1.6 %. */
#include "counter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STEP_BITS 6
#define BUCKETS ((64 - STEP_BITS + 1) << STEP_BITS)

static uint64_t histogram[KINDS][BUCKETS];
static uint64_t largest[KINDS];
static uint64_t window_started_ns;

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned bucket_of(uint64_t value) {
    if (value < 1u << STEP_BITS) return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - STEP_BITS;
    return ((shift + 1) << STEP_BITS) + (unsigned)((value >> shift) & ((1u << STEP_BITS) - 1));
}

static uint64_t value_of(unsigned bucket) {
    if (bucket < 1u << STEP_BITS) return bucket;
    unsigned shift = (bucket >> STEP_BITS) - 1;
    uint64_t low = (uint64_t)((bucket & ((1u << STEP_BITS) - 1)) | 1u << STEP_BITS) << shift;
    return low + (((uint64_t)1 << shift) >> 1);
}

void stats_latency(enum kind kind, uint64_t nanoseconds) {
    histogram[kind][bucket_of(nanoseconds)]++;
    if (nanoseconds > largest[kind]) largest[kind] = nanoseconds;
}

void stats_reset(void) {
    memset(histogram, 0, sizeof histogram);
    memset(largest, 0, sizeof largest);
    for (int kind = 0; kind < KINDS; kind++) {
        struct tally kept = {.clients = tallies[kind].clients, .open = tallies[kind].open};
        tallies[kind] = kept;
    }
    window_started_ns = window_last_ns = now_ns();
}

static double percentile_us(enum kind kind, uint64_t samples, double fraction) {
    uint64_t rank = (uint64_t)(fraction * (double)samples), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram[kind][bucket];
        if (seen > rank) {
            uint64_t value = value_of(bucket);
            return (double)(value < largest[kind] ? value : largest[kind]) / 1e3;
        }
    }
    return (double)largest[kind] / 1e3;
}

static void report_kind(const char *name, enum kind kind) {
    const struct tally *t = &tallies[kind];
    uint64_t expected = t->clients * window_count;
    printf("\"%s\":{\"clients\":%lu,\"open\":%lu,\"expected\":%lu,\"received\":%lu,\"gaps\":%lu,\"repeated\":%lu,"
           "\"stray\":%lu,\"others\":%lu,\"event_bytes\":%lu,\"read_bytes\":%lu,",
           name, t->clients, t->open, expected, t->received, t->gaps, t->repeated, t->stray, t->others, t->event_bytes,
           t->read_bytes);
    if (t->received == 0) {
        printf("\"p50_us\":null,\"p99_us\":null,\"max_us\":null}");
        return;
    }
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}", percentile_us(kind, t->received, 0.50),
           percentile_us(kind, t->received, 0.99), (double)largest[kind] / 1e3);
}

void stats_report(const char *event) {
    printf("{\"event\":\"%s\",", event);
    report_kind("websocket", WEBSOCKET);
    printf(",");
    report_kind("polling", POLLING);
    printf(",\"stalled\":{\"clients\":%d,\"closed\":%d},\"recovered\":%d,\"recovered_early\":%d", options.stalled,
           stalled_closed, recovered_count, recovered_early_count);
    printf(",\"failed\":%d,\"seconds\":%.6f}\n", failed_count, (double)(window_last_ns - window_started_ns) / 1e9);
    fflush(stdout);
}
