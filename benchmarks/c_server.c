/* A bare echo server for benchmarks: what a WebSocket server costs at least, so that the generator is the limit.

   All replies to one read leave in one write. It unmasks and checks no UTF-8; a frame must fit into its buffer, and a
   client that does not read is waited for. SIGUSR1 prints the counts of tests/helpers/echo_counter.py, SIGTERM ends it. */

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
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 256, BUFFER = 1 << 17, CLOSE = 8, PING = 9, PONG = 10, DESCRIPTORS = 1 << 17 };

typedef struct {
    uint8_t *rest; /* an incomplete frame or request head */
    size_t rest_size;
    bool open; /* the handshake is done */
} peer_t;

static peer_t peers[DESCRIPTORS];
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

/* Write Sec-WebSocket-Accept of a key of 24 characters. */
static void accept_key(const char *key, char into[29]) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t blocks[128] = {0}, digest[21] = {0};
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(blocks, key, 24);
    memcpy(blocks + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    blocks[60] = 0x80;
    blocks[126] = 480 >> 8, blocks[127] = 480 & 0xff;
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
            if (poll(&full, 1, 1000) != 1)
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

/* Answer a complete request head; return its size, 0 if it is incomplete, or -1. */
static ssize_t shake_hands(int fd, const uint8_t *data, size_t size) {
    const char *head = (const char *)data, *end = memmem(head, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    static const char name[] = "\r\nsec-websocket-key:";
    for (const char *at = head; at < end; at++) {
        if (strncasecmp(at, name, sizeof name - 1) != 0)
            continue;
        char key[29], reply[256];
        at += sizeof name - 1;
        at += strspn(at, " ");
        if (end - at < 24)
            break;
        accept_key(at, key);
        int length = snprintf(reply, sizeof reply,
                              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: %s\r\n\r\n", key);
        return write_all(fd, (uint8_t *)reply, (size_t)length) ? end + 4 - head : -1;
    }
    return -1;
}

/* Put the reply to the frame at `data` into the output at `*filled`; return the frame's size, or 0 if incomplete. */
static size_t answer(const uint8_t *data, size_t size, size_t *filled, bool *closing) {
    size_t head = 2, length;
    if (size < 2)
        return 0;
    length = data[1] & 0x7f;
    if (length == 126)
        head = 4;
    else if (length == 127)
        head = 10;
    if (size < head + 4)
        return 0;
    if (head > 2) {
        length = 0;
        for (size_t at = 2; at < head; at++)
            length = length << 8 | data[at];
    }
    if (length > BUFFER || size - head - 4 < length)
        return 0;
    uint8_t *reply = output + *filled;
    const uint8_t *key = data + head, *masked = key + 4;
    uint8_t kind = data[0] & 0x0f;
    memcpy(reply, data, head);
    reply[1] &= 0x7f;
    if (kind == PING)
        reply[0] = (uint8_t)((reply[0] & 0xf0) | PONG);
    uint64_t wide;
    memcpy(&wide, key, 4);
    memcpy((uint8_t *)&wide + 4, key, 4);
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t part;
        memcpy(&part, masked + at, 8);
        part ^= wide;
        memcpy(reply + head + at, &part, 8);
    }
    for (; at < length; at++)
        reply[head + at] = masked[at] ^ key[at & 3];
    *closing = kind == CLOSE;
    echoed += kind < CLOSE;
    if (kind != PONG)
        *filled += head + length;
    return head + 4 + length;
}

/* Serve a readable connection; return whether it goes on. */
static bool serve(int fd) {
    peer_t *peer = &peers[fd];
    memcpy(input, peer->rest, peer->rest_size);
    ssize_t received = recv(fd, input + peer->rest_size, BUFFER - peer->rest_size, MSG_DONTWAIT);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    size_t size = peer->rest_size + (size_t)received, at = 0, filled = 0;
    bool closing = false;
    if (!peer->open) {
        ssize_t head = shake_hands(fd, input, size);
        if (head < 0)
            return false;
        peer->open = head > 0;
        at = (size_t)head;
    }
    while (peer->open && !closing && at < size) {
        size_t frame = answer(input + at, size - at, &filled, &closing);
        if (frame == 0)
            break;
        at += frame;
    }
    if (!write_all(fd, output, filled) || closing || size - at == BUFFER)
        return false;
    if (size > at || peer->rest_size > 0) {
        free(peer->rest);
        peer->rest_size = size - at;
        peer->rest = peer->rest_size > 0 ? malloc(peer->rest_size) : NULL;
        if (peer->rest_size > 0)
            memcpy(peer->rest, input + at, peer->rest_size);
    }
    return true;
}

static void end(int fd) {
    free(peers[fd].rest);
    peers[fd] = (peer_t){0};
    close(fd);
    connections--;
}

static void accept_all(int epoll, int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= DESCRIPTORS) {
            close(fd);
            continue;
        }
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        connections++;
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int asked = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("listen");
        return 1;
    }
    struct epoll_event events[BATCH] = {{.events = EPOLLIN, .data.fd = listener}, {.events = EPOLLIN, .data.fd = asked}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
    epoll_ctl(epoll, EPOLL_CTL_ADD, asked, &events[1]);
    printf("listening on ws://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, BATCH, -1);
        for (int place = 0; place < ready; place++) {
            int fd = events[place].data.fd;
            struct signalfd_siginfo what;
            if (fd == listener) {
                accept_all(epoll, listener);
            } else if (fd == asked) {
                while (read(asked, &what, sizeof what) > 0)
                    continue;
                printf("%lu echoed, %lu connections\n", echoed, connections);
                fflush(stdout);
            } else if (!serve(fd)) {
                end(fd);
            }
        }
    }
}
