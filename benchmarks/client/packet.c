/* Engine.IO v4 and Socket.IO v5 packets, looked at just closely enough: no JSON is parsed. */
#define _GNU_SOURCE
#include "counter.h"

#include <string.h>

#define RECOVERED "\"recovered\":true"

/* A benchmark event holds "@n=<number>,t=<CLOCK_MONOTONIC ns>" in some string of its body. A file's later event may
 * still show the mark of an earlier one (its link does), so the largest number in the body is the event's own. */
static bool find_mark(const char *body, size_t length, uint64_t *n, uint64_t *t) {
    const char *end = body + length, *at = body;
    bool found = false;
    while ((at = memmem(at, (size_t)(end - at), "@n=", 3)) != NULL) {
        uint64_t number = 0, time = 0;
        for (at += 3; at < end && *at >= '0' && *at <= '9'; at++) number = number * 10 + (uint64_t)(*at - '0');
        if (end - at < 3 || memcmp(at, ",t=", 3) != 0) continue;
        for (at += 3; at < end && *at >= '0' && *at <= '9'; at++) time = time * 10 + (uint64_t)(*at - '0');
        if (!found || number > *n) *n = number, *t = time;
        found = true;
    }
    return found;
}

static void check_complete(struct conn *conn) {
    if (conn->complete || conn->next_n != window_first + window_count || (options.auth && !conn->recovered)) return;
    conn->complete = true;
    complete_count++;
}

static void count_event(struct conn *conn, uint64_t n, uint64_t sent_ns, size_t length) {
    struct tally *tally = &tallies[conn->kind];
    if (n < window_first || n >= window_first + window_count) {
        tally->stray++;
        return;
    }
    if (n < conn->next_n) {
        tally->repeated++;
        return;
    }
    tally->gaps += n - conn->next_n;
    tally->received++;
    tally->event_bytes += length;
    stats_latency(conn->kind, read_ns > sent_ns ? read_ns - sent_ns : 0);
    conn->next_n = n + 1;
    window_last_ns = read_ns;
    check_complete(conn);
}

/* A client that resumes is told so once it has what it missed: not before, and not instead. */
static void note_recovered(struct conn *conn) {
    if (conn->recovered) return;
    conn->recovered = true;
    recovered_count++;
    if (conn->next_n < window_first + window_missed) recovered_early_count++;
    window_last_ns = read_ns;
    check_complete(conn);
}

/* The event's name comes right after the namespace, so "pipeline:status", which repeats recent files and their marks,
 * is told from the file events by its beginning. */
static void handle_event(struct conn *conn, const char *packet, size_t length) {
    const char *args = memchr(packet, '[', length);
    uint64_t n = 0, t = 0;
    size_t left = args ? (size_t)(packet + length - args) : 0, mark = strlen(options.mark);
    if (left > mark + 2 && memcmp(args + 2, options.mark, mark) == 0 && find_mark(args, left, &n, &t)) {
        count_event(conn, n, t, length);
        return;
    }
    tallies[conn->kind].others++;
    if (options.auth && memmem(args, left, RECOVERED, sizeof RECOVERED - 1)) note_recovered(conn);
}

static void handle_message(struct conn *conn, const char *packet, size_t length) {
    switch (length ? packet[0] : 0) {
    case '0':
        if (conn->state == JOINING) conn_joined(conn);
        break;
    case '1': conn_close(conn, "the server left the namespace"); break;
    case '2':
        if (conn->state == JOINED)
            handle_event(conn, packet, length);
        else
            conn_close(conn, "an event came before the namespace was joined");
        break;
    case '4': conn_close(conn, "the server refused the namespace"); break;
    default: conn_close(conn, "a Socket.IO packet of an unknown type"); break;
    }
}

static void handle_open(struct conn *conn, const char *packet, size_t length) {
    const char *sid = memmem(packet, length, "\"sid\":\"", 7);
    size_t taken = 0;
    if (conn->state != OPENING || sid == NULL) {
        conn_close(conn, "an unexpected open packet");
        return;
    }
    for (sid += 7; sid < packet + length && *sid != '"' && taken < sizeof conn->sid - 1; sid++)
        conn->sid[taken++] = *sid;
    conn->sid[taken] = '\0';
    conn->state = JOINING;
    if (conn->kind == WEBSOCKET) ws_send_text(conn, join_packet);
}

void packet_handle(struct conn *conn, const char *packet, size_t length) {
    switch (length ? packet[0] : 0) {
    case '0': handle_open(conn, packet, length); break;
    case '1': conn_close(conn, "the server closed the session"); break;
    case '2':
        if (conn->kind == WEBSOCKET)
            ws_send_text(conn, "3");
        else
            conn->owes_pong = true;
        break;
    case '4': handle_message(conn, packet + 1, length - 1); break;
    case '6': break;
    default: conn_close(conn, "an Engine.IO packet of an unknown type"); break;
    }
}
