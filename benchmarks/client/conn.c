/* One connection: opening, reading, writing, closing. */
#define _GNU_SOURCE
#include "counter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char chunk[1 << 18];

void buffer_append(struct buffer *buffer, const void *data, size_t length) {
    if (buffer->length + length > buffer->capacity) {
        buffer->capacity = (buffer->length + length) * 2;
        buffer->data = realloc(buffer->data, buffer->capacity);
        if (buffer->data == NULL) abort();
    }
    if (length) memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

void buffer_drop(struct buffer *buffer, size_t length) {
    buffer->length -= length;
    if (buffer->length == 0)
        buffer_free(buffer);
    else
        memmove(buffer->data, buffer->data + length, buffer->length);
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

static void watch(struct conn *conn, int operation) {
    /* A client that stalls still hears of the connection's end. */
    uint32_t reading = conn->stalled && conn->state == JOINED ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP;
    struct epoll_event event = {.events = reading | (conn->want_write ? EPOLLOUT : 0), .data.ptr = conn};
    epoll_ctl(epoll_fd, operation, conn->fd, &event);
}

static void start_connecting(struct conn *conn) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    int one = 1, size = conn->stalled ? options.stalled_receive_buffer : options.receive_buffer;
    inet_pton(AF_INET, options.host, &address.sin_addr);
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        perror("socket");
        exit(2);
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (size) setsockopt(conn->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    conn->want_write = true;
    watch(conn, EPOLL_CTL_ADD);
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        conn_close(conn, strerror(errno));
}

void conn_open(struct conn *conn) {
    pending_count++;
    conn->state = CONNECTING;
    start_connecting(conn);
}

void conn_reopen(struct conn *conn) {
    close(conn->fd);
    buffer_free(&conn->out);
    start_connecting(conn);
}

void conn_send(struct conn *conn, const void *data, size_t length) {
    ssize_t sent = 0;
    if (conn->out.length == 0 && !conn->want_write) {
        sent = send(conn->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0) sent = 0; /* a broken connection shows itself on reading */
    }
    if ((size_t)sent == length) return;
    buffer_append(&conn->out, (const char *)data + sent, length - (size_t)sent);
    conn->want_write = true;
    watch(conn, EPOLL_CTL_MOD);
}

void conn_joined(struct conn *conn) {
    conn->state = JOINED;
    conn->was_joined = true;
    conn->next_n = window_first;
    pending_count--;
    joined_count++;
    if (conn->stalled)
        watch(conn, EPOLL_CTL_MOD);
    else
        tallies[conn->kind].open++;
}

void conn_close(struct conn *conn, const char *reason) {
    if (conn->state == CLOSED) return;
    if (!conn->was_joined) {
        pending_count--;
        failed_count++;
    } else if (conn->stalled) {
        stalled_closed++;
    } else {
        tallies[conn->kind].open--;
    }
    if (!conn->stalled) fprintf(stderr, "client %ld: %s\n", (long)(conn - conns), reason);
    conn->state = CLOSED;
    close(conn->fd);
    conn->fd = -1;
    buffer_free(&conn->out);
}

static void write_pending(struct conn *conn) {
    if (conn->state == CONNECTING || (conn->kind == POLLING && conn->out.length == 0)) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            conn_close(conn, strerror(error));
            return;
        }
        conn->want_write = false;
        watch(conn, EPOLL_CTL_MOD);
        if (conn->kind == POLLING) {
            polling_next(conn);
        } else {
            conn->state = OPENING;
            ws_handshake(conn);
        }
        return;
    }
    ssize_t sent = send(conn->fd, conn->out.data, conn->out.length, MSG_NOSIGNAL);
    if (sent > 0) buffer_drop(&conn->out, (size_t)sent);
    conn->want_write = conn->out.length > 0;
    watch(conn, EPOLL_CTL_MOD);
}

/* Frames are taken straight from the shared buffer; only what is left of the last one is kept with the connection. */
static void consume(struct conn *conn, const char *data, size_t length) {
    bool joined_up = conn->in.length > 0;
    if (joined_up) {
        buffer_append(&conn->in, data, length);
        data = conn->in.data;
        length = conn->in.length;
    }
    long used = conn->kind == WEBSOCKET ? ws_consume(conn, data, length) : polling_consume(conn, data, length);
    if (used < 0) {
        buffer_free(&conn->in);
        buffer_free(&conn->fragments);
    } else if (joined_up) {
        if (used) buffer_drop(&conn->in, (size_t)used);
    } else if ((size_t)used < length) {
        buffer_append(&conn->in, data + used, length - (size_t)used);
    }
}

static void read_available(struct conn *conn) {
    ssize_t got = recv(conn->fd, chunk, sizeof chunk, 0);
    if (got > 0) {
        read_ns = now_ns();
        tallies[conn->kind].read_bytes += (uint64_t)got;
        consume(conn, chunk, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        if (conn->kind == POLLING && polling_ended(conn)) return;
        conn_close(conn, got == 0 ? "the server ended the connection" : strerror(errno));
    }
}

void conn_ready(struct conn *conn, uint32_t events) {
    if (conn->state == CLOSED) return;
    if (conn->stalled && conn->state == JOINED) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) conn_close(conn, "stalled");
        return;
    }
    if (events & EPOLLOUT) write_pending(conn);
    if (conn->state != CLOSED && (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))) read_available(conn);
}
