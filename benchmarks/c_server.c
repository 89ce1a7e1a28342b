/* A bare echo server for benchmarks: one process, one thread, as few system calls as possible.

   All replies to one read leave in one write. Frames are echoed one by one, fragments too, and UTF-8 is not checked. A
   frame of more than 128 KiB, or without a mask, ends its connection. A client that does not read stops the server for
   at most a second, then its connection ends. SIGUSR1 prints the counts that tests/helpers/echo_counter.py reads;
   SIGTERM ends the server. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLOSE = 8, PING = 9, PONG = 10 }; /* opcodes; those of data are lower */
enum { BATCH = 256, BUFFER = 1 << 17, DESCRIPTORS = 1 << 17, FULL_MS = 1000, KEY = 24 };

typedef struct {
    uint8_t *rest; /* an incomplete frame or request head; NULL if there is none */
    size_t rest_size;
    bool open; /* the handshake is done */
} connection_t;

static connection_t table[DESCRIPTORS]; /* by descriptor */
static unsigned long echoed, connections;
static uint8_t input[BUFFER], output[BUFFER];

/* -- SHA-1 and Base64, for the handshake ----------------------------------------------------------------------------- */

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t block[64]) {
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int at = 0; at < 16; at++)
        words[at] = (uint32_t)block[4 * at] << 24 | (uint32_t)block[4 * at + 1] << 16 |
                    (uint32_t)block[4 * at + 2] << 8 | block[4 * at + 3];
    for (int at = 16; at < 80; at++)
        words[at] = rotate(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
    for (int at = 0; at < 80; at++) {
        const uint32_t mixed = at < 20 ? (b & c) | (~b & d) : at < 40 || at >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
        const uint32_t next = rotate(a, 5) + mixed + e + constants[at / 20] + words[at];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* Write the Sec-WebSocket-Accept of a key (RFC 6455, 4.2.2). */
static void accept_key(const char *key, char into[29]) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t blocks[128] = {0}, digest[21] = {0};
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(blocks, key, KEY);
    memcpy(blocks + KEY, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    blocks[60] = 0x80;
    blocks[126] = 480 >> 8, blocks[127] = 480 & 0xff; /* 60 bytes in bits */
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (int at = 0; at < 20; at++)
        digest[at] = (uint8_t)(state[at / 4] >> (24 - 8 * (at % 4)));
    for (int at = 0; at < 7; at++) {
        const uint32_t three = (uint32_t)digest[3 * at] << 16 | (uint32_t)digest[3 * at + 1] << 8 | digest[3 * at + 2];
        for (int place = 0; place < 4; place++)
            into[4 * at + place] = alphabet[three >> (18 - 6 * place) & 63];
    }
    into[27] = '=', into[28] = 0;
}

/* -- connections ----------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd full = {.fd = fd, .events = POLLOUT};
            if (poll(&full, 1, FULL_MS) != 1)
                return false;
            continue;
        }
        if (sent < 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* Answer a complete request head; return its size, 0 if it is incomplete, or -1 to end the connection. */
static ssize_t shake_hands(int fd, const uint8_t *data, size_t size) {
    const char *head = (const char *)data, *end = memmem(head, size, "\r\n\r\n", 4);
    if (end == NULL)
        return size < BUFFER ? 0 : -1;
    static const char name[] = "\r\nsec-websocket-key:";
    for (const char *at = head; at < end; at++) {
        if (strncasecmp(at, name, sizeof name - 1) != 0)
            continue;
        char key[29], reply[256];
        at += sizeof name - 1;
        at += strspn(at, " ");
        if (end - at < KEY)
            break;
        accept_key(at, key);
        int length = snprintf(reply, sizeof reply,
                              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: %s\r\n\r\n", key);
        return write_all(fd, (uint8_t *)reply, (size_t)length) ? end + 4 - head : -1;
    }
    return -1;
}

/* Copy a payload without its mask. */
static void unmask(uint8_t *into, const uint8_t *masked, size_t size, const uint8_t key[4]) {
    uint64_t wide;
    size_t at = 0;
    memcpy(&wide, key, 4);
    memcpy((uint8_t *)&wide + 4, key, 4);
    for (; at + 8 <= size; at += 8) {
        uint64_t part;
        memcpy(&part, masked + at, 8);
        part ^= wide;
        memcpy(into + at, &part, 8);
    }
    for (; at < size; at++)
        into[at] = masked[at] ^ key[at & 3];
}

/* Put the reply to the frame at `data` into the output, after `*filled` bytes, and add its size to them. A reply is
   shorter than its frame, so the replies to a full input fit. Return the frame's size, 0 if it is incomplete, or -1 to
   end the connection. */
static ssize_t answer(const uint8_t *data, size_t size, size_t *filled) {
    if (size < 2)
        return 0;
    if (!(data[1] & 0x80))
        return -1;
    size_t head = 2, length = data[1] & 0x7f;
    if (length > 125) {
        head = length == 126 ? 4 : 10;
        if (size < head)
            return 0;
        length = 0;
        for (size_t at = 2; at < head; at++)
            length = length << 8 | data[at];
    }
    if (length > BUFFER - head - 4)
        return -1;
    if (size < head + 4 + length)
        return 0;
    const uint8_t opcode = data[0] & 0x0f;
    if (opcode != PONG) {
        uint8_t *reply = output + *filled;
        memcpy(reply, data, head);
        reply[1] &= 0x7f;
        if (opcode == PING)
            reply[0] = (uint8_t)((reply[0] & 0xf0) | PONG);
        unmask(reply + head, data + head + 4, length, data + head);
        *filled += head + length;
    }
    echoed += opcode < CLOSE;
    return (ssize_t)(head + 4 + length);
}

/* Keep the input that is left for the next read; return whether there was memory for it. */
static bool keep(connection_t *connection, const uint8_t *rest, size_t size) {
    free(connection->rest);
    connection->rest = size > 0 ? malloc(size) : NULL;
    connection->rest_size = size;
    if (connection->rest != NULL)
        memcpy(connection->rest, rest, size);
    return size == 0 || connection->rest != NULL;
}

/* Serve a readable connection; return whether it stays open. */
static bool serve(int fd) {
    connection_t *connection = &table[fd];
    size_t size = connection->rest_size, at = 0, filled = 0;
    if (size > 0)
        memcpy(input, connection->rest, size);
    ssize_t received = recv(fd, input + size, BUFFER - size, MSG_DONTWAIT);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    size += (size_t)received;
    if (!connection->open) {
        ssize_t head = shake_hands(fd, input, size);
        if (head < 0)
            return false;
        at = (size_t)head;
        connection->open = head > 0;
        connections += connection->open;
    }
    bool closing = false;
    while (connection->open && at < size && !closing) {
        ssize_t frame = answer(input + at, size - at, &filled);
        if (frame == 0)
            break;
        closing = frame < 0 || (input[at] & 0x0f) == CLOSE;
        at += frame < 0 ? 0 : (size_t)frame;
    }
    if (!write_all(fd, output, filled) || closing)
        return false;
    return (size == at && connection->rest == NULL) || keep(connection, input + at, size - at);
}

static void end(int fd) {
    connections -= table[fd].open;
    free(table[fd].rest);
    table[fd] = (connection_t){0};
    close(fd);
}

/* End the server with a message about the call that failed. */
static void fail(const char *call) {
    perror(call);
    exit(1);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        fail("epoll_ctl");
}

static void accept_all(int epoll, int listener) {
    for (;;) {
        const int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == ECONNABORTED)
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0)
            fail("accept4"); /* for example, no more descriptors: the listener would be readable for ever */
        if (fd >= DESCRIPTORS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epoll, fd);
    }
}

static void print_counts(int signals) {
    struct signalfd_siginfo signal;
    while (read(signals, &signal, sizeof signal) > 0)
        continue;
    printf("%lu echoed, %lu connections\n", echoed, connections);
    fflush(stdout);
}

/* Return a descriptor that is readable after a SIGUSR1. */
static int catch_signal(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    const int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        fail("signalfd");
    return fd;
}

/* Return a socket that listens on a free port of the loopback interface, and print its URL. */
static int listen_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        fail("listen");
    printf("listening on ws://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(void) {
    const int signals = catch_signal(), listener = listen_on_loopback(), epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1");
    watch(epoll, signals);
    watch(epoll, listener);
    for (;;) {
        struct epoll_event events[BATCH];
        const int ready = epoll_wait(epoll, events, BATCH, -1);
        for (int at = 0; at < ready; at++) {
            const int fd = events[at].data.fd;
            if (fd == listener)
                accept_all(epoll, listener);
            else if (fd == signals)
                print_counts(signals);
            else if (!serve(fd))
                end(fd);
        }
    }
}
