/* HTTP long-polling over one keep-alive connection: a poll is always under way, a pong is posted between two polls. */
#define _GNU_SOURCE
#include "counter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATOR '\x1e'

static void request(struct conn *conn, const char *body) {
    char text[512], session[96] = "";
    if (conn->sid[0]) snprintf(session, sizeof session, "&sid=%s", conn->sid);
    int length = snprintf(text, sizeof text, "%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: %s:%d\r\n",
                          body ? "POST" : "GET", session, options.host, options.port);
    conn->posting = body != NULL;
    if (body)
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        length += snprintf(text + length, sizeof text - (size_t)length, "\r\n");
    conn_send(conn, text, (size_t)length);
}

/* The next request, whatever the connection it goes over: some servers close theirs after each answer. */
void polling_next(struct conn *conn) {
    if (conn->state == CONNECTING) conn->state = OPENING;
    if (conn->state == JOINING && !conn->asked_to_join) {
        conn->asked_to_join = true;
        request(conn, join_packet);
    } else if (conn->owes_pong && conn->state == JOINED) {
        conn->owes_pong = false;
        request(conn, "3");
    } else {
        request(conn, NULL);
    }
}

static void handle_payload(struct conn *conn, const char *body, size_t length) {
    const char *end = body + length;
    while (body < end && conn->state != CLOSED) {
        const char *stop = memchr(body, SEPARATOR, (size_t)(end - body));
        if (stop == NULL) stop = end;
        packet_handle(conn, body, (size_t)(stop - body));
        body = stop + 1;
    }
}

static void handle_answer(struct conn *conn, const char *body, size_t length, bool close_after) {
    if (!conn->posting) handle_payload(conn, body, length);
    if (conn->state == CLOSED || (conn->stalled && conn->state == JOINED)) return;
    if (close_after)
        conn_reopen(conn);
    else
        polling_next(conn);
}

static const char *header_value(const char *head, size_t length, const char *name) {
    const char *line = head, *end = head + length;
    size_t width = strlen(name);
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((size_t)(end - line) > width && strncasecmp(line, name, width) == 0 && line[width] == ':') {
            line += width + 1;
            while (*line == ' ') line++;
            return line;
        }
    }
    return NULL;
}

/* Joins the chunks of a chunked body; returns how long the encoded body is, 0 while it is incomplete. */
static size_t join_chunks(const char *data, size_t length, struct buffer *body) {
    size_t at = 0;
    for (;;) {
        const char *line_end = memmem(data + at, length - at, "\r\n", 2);
        if (line_end == NULL) return 0;
        size_t size = strtoul(data + at, NULL, 16), start = (size_t)(line_end + 2 - data);
        if (length < start + size + 2) return 0;
        buffer_append(body, data + start, size);
        at = start + size + 2;
        if (size == 0) return at;
    }
}

long polling_consume(struct conn *conn, const char *data, size_t length) {
    const char *head_end = memmem(data, length, "\r\n\r\n", 4);
    if (head_end == NULL) return 0;
    size_t head = (size_t)(head_end + 4 - data);
    if (length < 13 || memcmp(data, "HTTP/1.", 7) != 0 || memcmp(data + 9, "200", 3) != 0) {
        conn_close(conn, "a poll was answered with an error");
        return -1;
    }
    const char *coding = header_value(data, head, "transfer-encoding");
    const char *size_text = header_value(data, head, "content-length");
    const char *keep = header_value(data, head, "connection");
    bool close_after = data[7] == '0' || (keep && strncasecmp(keep, "close", 5) == 0);
    if (coding && strncasecmp(coding, "chunked", 7) == 0) {
        struct buffer body = {0};
        size_t encoded = join_chunks(data + head, length - head, &body);
        if (encoded) handle_answer(conn, body.data, body.length, close_after);
        buffer_free(&body);
        return conn->state == CLOSED ? -1 : (long)(encoded ? head + encoded : 0);
    }
    size_t size = size_text ? strtoul(size_text, NULL, 10) : 0;
    if (length < head + size) return 0;
    handle_answer(conn, data + head, size, close_after);
    return conn->state == CLOSED ? -1 : (long)(head + size);
}

/* The server may end an idle keep-alive connection: the poll is asked again on a new one. False if that is an error. */
bool polling_ended(struct conn *conn) {
    if (conn->in.length || conn->posting || conn->state != JOINED) return false;
    conn_reopen(conn);
    return true;
}
