/* Arguments, the commands on stdin and the epoll loop.
 *
 * usage: counter --port N [--host A] [--namespace /pipeline] [--event PREFIX] [--websocket N] [--polling N]
 *                [--stall N] [--rcvbuf BYTES] [--stall-rcvbuf BYTES] [--window N] [--auth JSON]
 *
 * stdout, one JSON object a line: "ready" when every client has joined or failed; "begun" after `begin FIRST COUNT`;
 * "done" when every client has all events of the window (or is gone); "report" after `report`. `quit` or the end of
 * stdin ends it. The stalled clients are the first of the WebSocket ones and come on top of --websocket.
 *
 * With --auth the clients resume: they send that JSON as they join the namespace, and connect at `begin FIRST COUNT
 * MISSED`, from which the time counts. The first MISSED events of the window are those they missed; a client is done
 * when it has the whole window, and was told "recovered": true, which is early before it has what it missed.
 */
#define _GNU_SOURCE
#include "counter.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_JOIN 125 /* a WebSocket frame's payload while its length takes one byte */

struct options options = {.host = "127.0.0.1", .space = "/pipeline", .mark = "pipeline:file_", .window = 64};
struct conn *conns;
char join_packet[MAX_JOIN + 1];
int conn_count, pending_count, joined_count, failed_count, complete_count, stalled_closed, epoll_fd;
int recovered_count, recovered_early_count;
uint64_t window_first, window_count, window_missed, window_last_ns, read_ns;
struct tally tallies[KINDS];

static int opened_count;
static bool begun, told_ready, told_done = true;

static void parse_options(int argc, char **argv) {
    static const struct option names[] = {
        {"port", 1, 0, 'p'},   {"host", 1, 0, 'h'},  {"namespace", 1, 0, 'n'}, {"event", 1, 0, 'e'},
        {"websocket", 1, 0, 'w'}, {"polling", 1, 0, 'l'}, {"stall", 1, 0, 's'},   {"rcvbuf", 1, 0, 'r'},
        {"stall-rcvbuf", 1, 0, 'R'}, {"window", 1, 0, 'o'}, {"auth", 1, 0, 'a'},
        {0, 0, 0, 0}};
    int letter;
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (letter) {
        case 'p': options.port = atoi(optarg); break;
        case 'h': options.host = optarg; break;
        case 'n': options.space = optarg; break;
        case 'e': options.mark = optarg; break;
        case 'w': options.websockets = atoi(optarg); break;
        case 'l': options.pollers = atoi(optarg); break;
        case 's': options.stalled = atoi(optarg); break;
        case 'r': options.receive_buffer = atoi(optarg); break;
        case 'R': options.stalled_receive_buffer = atoi(optarg); break;
        case 'o': options.window = atoi(optarg); break;
        case 'a': options.auth = optarg; break;
        default: exit(2);
        }
    }
    const char *auth = options.auth ? options.auth : "";
    int length = snprintf(join_packet, sizeof join_packet, "40%s,%s", options.space, auth);
    if (options.port <= 0 || length > MAX_JOIN) {
        fprintf(stderr, "counter: --port is needed; --namespace and --auth have %d characters at most\n", MAX_JOIN - 3);
        exit(2);
    }
}

static void set_up(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    conn_count = options.stalled + options.websockets + options.pollers;
    conns = calloc((size_t)conn_count, sizeof *conns);
    if (conns == NULL && conn_count) abort();
    for (int i = 0; i < conn_count; i++) {
        conns[i].stalled = i < options.stalled;
        conns[i].kind = i < options.stalled + options.websockets ? WEBSOCKET : POLLING;
        conns[i].state = CLOSED;
    }
    tallies[WEBSOCKET].clients = (uint64_t)options.websockets;
    tallies[POLLING].clients = (uint64_t)options.pollers;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
}

static void begin(uint64_t first, uint64_t count, uint64_t missed) {
    window_first = first;
    window_count = count;
    window_missed = missed;
    complete_count = recovered_count = recovered_early_count = 0;
    for (int i = 0; i < conn_count; i++) {
        conns[i].next_n = first;
        conns[i].complete = conns[i].recovered = false;
    }
    stats_reset();
    begun = true;
    told_done = false;
    stats_report("begun");
}

static void obey(const char *line) {
    unsigned long first, count, missed = 0;
    if (sscanf(line, "begin %lu %lu %lu", &first, &count, &missed) >= 2)
        begin(first, count, missed);
    else if (strncmp(line, "report", 6) == 0)
        stats_report("report");
    else if (strncmp(line, "quit", 4) == 0)
        exit(0);
    else
        fprintf(stderr, "counter: unknown command: %s\n", line);
}

static void read_commands(void) {
    static char lines[4096];
    static size_t held;
    ssize_t got = read(STDIN_FILENO, lines + held, sizeof lines - held - 1);
    if (got <= 0) exit(0);
    held += (size_t)got;
    lines[held] = '\0';
    char *line = lines, *stop;
    for (; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
        *stop = '\0';
        obey(line);
    }
    held = strlen(line);
    memmove(lines, line, held + 1);
}

/* Connections are opened a few at a time: a listen backlog that overflows would measure TCP's retry, not the server. */
static void open_more(void) {
    if (options.auth && !begun) return;
    while (opened_count < conn_count && pending_count < options.window) conn_open(&conns[opened_count++]);
    if (!told_ready && joined_count + failed_count == conn_count) {
        told_ready = true;
        stats_report("ready");
    }
}

static void tell_done(void) {
    uint64_t left = 0;
    if (told_done || opened_count < conn_count) return;
    for (int i = 0; i < conn_count; i++) left += !conns[i].complete && !conns[i].stalled && conns[i].state != CLOSED;
    if (left) return;
    told_done = true;
    stats_report("done");
}

int main(int argc, char **argv) {
    struct epoll_event events[512];
    parse_options(argc, argv);
    set_up();
    for (;;) {
        open_more();
        int ready = epoll_wait(epoll_fd, events, 512, 1000);
        int complete_before = complete_count;
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == NULL)
                read_commands();
            else
                conn_ready(events[i].data.ptr, events[i].events);
        }
        /* Looking at every client is worth it only when one has just finished, or when nothing else is to do. */
        if (complete_count != complete_before || ready == 0) tell_done();
    }
}
