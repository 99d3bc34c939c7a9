/* A counting Socket.IO client: many connections, one thread, next to no CPU for each message.
 *
 * main.c      arguments, commands on stdin, the epoll loop
 * conn.c      opening, reading, writing and closing one connection
 * ws.c        WebSocket handshake and frames
 * polling.c   HTTP long-polling over one keep-alive connection
 * packet.c    Engine.IO v4 and Socket.IO v5 packets, the check of the sequence
 * stats.c     latency histogram and the JSON report
 */
#ifndef COUNTER_H
#define COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t length;
    size_t capacity;
};

enum kind { WEBSOCKET, POLLING, KINDS };

enum state {
    CONNECTING, /* TCP handshake under way */
    OPENING,    /* upgrade or handshake request sent */
    JOINING,    /* Engine.IO is open, the namespace was asked for */
    JOINED,     /* the namespace was granted: counted from here on */
    CLOSED      /* ended, by whichever side */
};

struct conn {
    int fd;
    enum kind kind;
    enum state state;
    bool stalled;      /* stops reading once it has joined */
    bool was_joined;   /* told apart from those that never got in */
    bool complete;     /* has every event of the window, and has been told that it is up to date if it resumes */
    bool recovered;    /* resuming: was told that it has all it missed */
    bool owes_pong;    /* polling: a ping came with the last answer */
    bool asked_to_join; /* polling: the namespace was asked for */
    bool posting;      /* polling: the request under way is a POST */
    bool want_write;   /* EPOLLOUT is armed */
    char sid[64];      /* polling: Engine.IO session */
    uint64_t next_n;   /* number the next event must have */
    struct buffer in;  /* bytes of an unfinished frame or answer */
    struct buffer out; /* bytes the socket did not take yet */
    struct buffer fragments; /* payload of an unfinished fragmented message */
};

struct tally {
    uint64_t clients, open, received, gaps, repeated, stray, others, event_bytes, read_bytes;
};

struct options {
    const char *host, *space, *mark, *auth;
    int port, websockets, pollers, stalled, receive_buffer, stalled_receive_buffer, window;
};

extern struct options options;
extern struct conn *conns;
extern char join_packet[];
extern int conn_count, pending_count, joined_count, failed_count, complete_count, stalled_closed;
extern int recovered_count, recovered_early_count;
extern uint64_t window_first, window_count, window_missed, window_last_ns, read_ns;
extern struct tally tallies[KINDS];

/* buffers */
void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_drop(struct buffer *buffer, size_t length);
void buffer_free(struct buffer *buffer);

/* conn.c */
void conn_open(struct conn *conn);
void conn_reopen(struct conn *conn);
void conn_ready(struct conn *conn, uint32_t events);
void conn_send(struct conn *conn, const void *data, size_t length);
void conn_joined(struct conn *conn);
void conn_close(struct conn *conn, const char *reason);

/* ws.c: both return how many bytes they used up, or -1 after closing the connection */
void ws_handshake(struct conn *conn);
long ws_consume(struct conn *conn, const char *data, size_t length);
void ws_send_text(struct conn *conn, const char *text);

/* polling.c */
void polling_next(struct conn *conn);
long polling_consume(struct conn *conn, const char *data, size_t length);
bool polling_ended(struct conn *conn);

/* packet.c */
void packet_handle(struct conn *conn, const char *packet, size_t length);

/* stats.c */
uint64_t now_ns(void);
void stats_reset(void);
void stats_latency(enum kind kind, uint64_t nanoseconds);
void stats_report(const char *event);

extern int epoll_fd;

#endif
