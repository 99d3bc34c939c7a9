/* WebSocket (RFC 6455), client side: the handshake, frames of any fragmentation, masked sending. */
#define _GNU_SOURCE
#include "counter.h"

#include <stdio.h>
#include <string.h>

#define FIN 0x80
#define RESERVED 0x70
#define MASKED 0x80

enum opcode { CONTINUATION = 0x0, TEXT = 0x1, CLOSE = 0x8, PING = 0x9, PONG = 0xA };

void ws_handshake(struct conn *conn) {
    char request[512];
    int length = snprintf(request, sizeof request,
                          "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n",
                          options.host, options.port);
    conn_send(conn, request, (size_t)length);
}

static void send_frame(struct conn *conn, enum opcode opcode, const char *payload, size_t length) {
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned char frame[2 + 4 + 125];
    frame[0] = FIN | (unsigned char)opcode;
    frame[1] = MASKED | (unsigned char)length; /* what a client says here is short: control frames and joins */
    memcpy(frame + 2, key, 4);
    for (size_t i = 0; i < length; i++) frame[6 + i] = (unsigned char)payload[i] ^ key[i & 3];
    conn_send(conn, frame, 6 + length);
}

void ws_send_text(struct conn *conn, const char *text) { send_frame(conn, TEXT, text, strlen(text)); }

static long consume_handshake(struct conn *conn, const char *data, size_t length) {
    static const char switching[] = "HTTP/1.1 101 ";
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    if (length < sizeof switching || memcmp(data, switching, sizeof switching - 1) != 0) {
        conn_close(conn, "the server refused the upgrade");
        return -1;
    }
    conn->sid[0] = '?'; /* upgraded: frames from here on */
    return end + 4 - data;
}

static void handle_frame(struct conn *conn, unsigned char first, const char *payload, size_t length) {
    switch (first & 0x0f) {
    case TEXT:
    case CONTINUATION:
        if ((first & FIN) && conn->fragments.length == 0) {
            packet_handle(conn, payload, length);
            return;
        }
        buffer_append(&conn->fragments, payload, length);
        if (first & FIN) {
            packet_handle(conn, conn->fragments.data, conn->fragments.length);
            buffer_free(&conn->fragments);
        }
        return;
    case PING: send_frame(conn, PONG, payload, length); return;
    case PONG: return;
    case CLOSE: conn_close(conn, "the server closed the WebSocket"); return;
    default: conn_close(conn, "a frame of an unexpected type"); return;
    }
}

/* The length of the frame's header, or 0 while it is incomplete. */
static size_t parse_header(const unsigned char *at, size_t left, uint64_t *payload) {
    size_t wide = 0;
    if (left < 2) return 0;
    *payload = at[1] & 0x7f;
    if (*payload == 126) wide = 2;
    if (*payload == 127) wide = 8;
    if (left < 2 + wide) return 0;
    if (wide) *payload = 0;
    for (size_t i = 0; i < wide; i++) *payload = *payload << 8 | at[2 + i];
    return 2 + wide;
}

long ws_consume(struct conn *conn, const char *data, size_t length) {
    size_t used = 0;
    if (conn->state == OPENING && conn->sid[0] == '\0') {
        long head = consume_handshake(conn, data, length);
        if (head <= 0) return head;
        used = (size_t)head;
    }
    while (used < length) {
        const unsigned char *at = (const unsigned char *)data + used;
        uint64_t payload = 0;
        size_t header = parse_header(at, length - used, &payload);
        if (header == 0) break;
        if ((at[0] & RESERVED) || (at[1] & MASKED)) {
            conn_close(conn, "a frame with reserved bits or a mask: the stream is broken");
            return -1;
        }
        if (length - used - header < payload) break;
        handle_frame(conn, at[0], (const char *)at + header, (size_t)payload);
        if (conn->state == CLOSED) return -1;
        used += header + (size_t)payload;
    }
    return (long)used;
}
