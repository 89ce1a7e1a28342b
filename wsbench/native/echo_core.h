/* The echo path in C: a table of connections by descriptor, and nothing else. It knows no Python.

   Each connection in the table awaits replies whose bytes are known beforehand. The table keeps no message: it keeps
   the number of the oldest message in flight, and compares a reply with the parts from which the message is made. A
   reply in several reads needs no buffer: the bytes read so far equal the expected ones, so their number is enough.

   All instants are ns of CLOCK_REALTIME. Functions that return bool return false when they have changed nothing. */

#ifndef WSBENCH_ECHO_CORE_H
#define WSBENCH_ECHO_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"

enum {
    SUB_BITS = 11,
    HIGHEST_KEY = 65164, /* of an hour: see measure/histogram.py */
    MOST_SERIES = 4,
    LARGEST_PAYLOAD = 1 << 20,
    LARGEST_WINDOW = 1 << 16, /* of messages in flight when a connection is put into the table */
    MOST_IN_FLIGHT = 1 << 17, /* more, so that it does not come and go with each message */
    READ_SIZE = 65536,
    MOST_OUTSIDE = 64,
    KEYS = 64, /* 256 bytes: the kernel gives so many at once, or none */
};

enum series { READ_LAG, SERVICE, RESPONSE, SEND_LAG }; /* the order of measure/tally.py; a closed loop has two */

/* A message in flight. `slot` is the tally of the interval in which it was due. */
typedef struct {
    int64_t due_ns, sent_ns;
    uint32_t slot;
} flight_t;

/* A connection. `matched` bytes of the oldest message's reply have been read. `on`: it is in the table. `stalled`: it
   has a leftover, and is not served until it is put again. */
typedef struct {
    uint64_t id, oldest;
    union {
        flight_t single; /* with a capacity of one: all of the connection is then in one cache line */
        flight_t *ring;
    } flights;
    uint32_t count, head, capacity, matched;
    bool on, stalled;
} connection_t;

enum { CACHE_LINE = 64 };
_Static_assert(sizeof(connection_t) <= CACHE_LINE, "with ten thousand connections, each cache line costs 80 ns");

/* A value that is in no bucket: a clock has stepped or drifts, or a reply took an hour. */
typedef struct {
    int64_t value_ns;
    int32_t series;
} outside_t;

/* Counts of one tally since they were last taken. `buckets` is allocated by the first reply. */
typedef struct {
    int64_t *buckets;
    int64_t in_flight, sent, received, user_stamped;
    bool open;
    uint32_t outside_count;
    outside_t outside[MOST_OUTSIDE];
} slot_t;

typedef struct {
    messages_t messages;
    uint32_t window; /* 0: open loop */
    int64_t timeout_ns;
    connection_t *connections;
    size_t connections_size;
    slot_t *slots;
    uint32_t slots_size;
    /* The present interval; nothing is sent in another one, and replies are left to the general path while not
       `active`. */
    uint32_t slot;
    int64_t start_ns, end_ns;
    bool active;
    int64_t bytes_received, bytes_sent;
    uint8_t *input; /* room for the bytes matched before, then READ_SIZE */
    uint8_t *output;
    size_t output_size;
    uint32_t keys[KEYS];
    uint32_t next_key;
} table_t;

/* Work that the table leaves to the general path. The bytes are in the table's buffers, until its next call. */
typedef struct {
    const uint8_t *rest; /* plain bytes at a frame boundary that were not what was expected */
    size_t rest_size;
    const uint8_t *unsent; /* bytes of a frame that the socket did not accept */
    size_t unsent_size;
    int send_error, read_error; /* errno, or 0 */
    int64_t arrived_ns, handled_ns;
} leftover_t;

enum served {
    SERVED,        /* all done */
    SERVED_A_PART, /* there may be more to read */
    LEFT_OVER,     /* the general path must go on: with the leftover, or only to send in the next interval */
    NOT_SERVED,    /* not in the table, or at the end of the stream */
};

bool table_init(table_t *table, const messages_t *messages, uint8_t first_byte, uint32_t window, int64_t timeout_ns);
void table_free(table_t *table);

/* A new slot, or -1 without memory. */
int64_t slot_open(table_t *table);
bool slot_close(table_t *table, uint32_t slot); /* false while messages of it are in flight */

/* The entry of a descriptor in the table, or NULL. */
connection_t *connection_of(const table_t *table, int64_t fd);
/* Make room for `count` messages in flight on `fd`, and take a connection over without any. NULL without memory. */
connection_t *connection_put(table_t *table, uint32_t fd, uint64_t id, uint64_t oldest, uint32_t count);
bool flight_push(table_t *table, connection_t *connection, flight_t flight);
flight_t *flight_at(connection_t *connection, uint32_t place);
/* Remove a connection from the table; its flights stay readable until `fd` is put again. */
void connection_take(table_t *table, connection_t *connection);
/* Write the `matched` bytes that have been read of an incomplete reply. */
bool matched_bytes(const table_t *table, const connection_t *connection, uint8_t *into);

/* Read from `fd`, count, and in a closed loop send. */
enum served serve(table_t *table, int fd, leftover_t *leftover);
/* Send the message that is due. LEFT_OVER with nothing in the leftover: it was not sent. */
enum served fire(table_t *table, int64_t fd, int64_t due_ns, leftover_t *leftover);

int32_t bucket_key(int64_t value_ns); /* -1: no bucket has it */

#endif
