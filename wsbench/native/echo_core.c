#define _GNU_SOURCE
#include "echo_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

static const int64_t NS_PER_S = 1000000000;
static const int64_t LAST_SECOND = INT64_MAX / 1000000000 - 1;

/* -- mask keys ----------------------------------------------------------------------------------------------------- */

/* RFC 6455, 10.3: the author of the payloads must not predict the keys. The author is this generator: a pool of keys is enough. */
static bool next_key(table_t *table, uint32_t *key) {
    if (table->next_key == KEYS) {
        if (getrandom(table->keys, sizeof table->keys, 0) != (ssize_t)sizeof table->keys)
            return false;
        table->next_key = 0;
    }
    *key = table->keys[table->next_key++];
    return true;
}

/* Write a masked frame of `masked_size` bytes. */
static bool next_frame(table_t *table, uint64_t id, uint64_t seq, uint8_t *into) {
    uint32_t key;
    return next_key(table, &key) && make_frame(&table->messages, id, seq, key, into);
}

/* -- the table ----------------------------------------------------------------------------------------------------- */

bool table_init(table_t *table, const messages_t *messages, uint8_t first_byte, uint32_t window, int64_t timeout_ns) {
    memset(table, 0, sizeof *table);
    table->messages = *messages;
    messages_init(&table->messages, first_byte);
    table->window = window;
    table->timeout_ns = timeout_ns;
    table->next_key = KEYS;
    size_t largest = masked_size(&table->messages), wanted = largest * (window > 0 ? window : 1);
    size_t room = largest > 4 * READ_SIZE ? largest : 4 * READ_SIZE;
    table->output_size = wanted < room ? wanted : room;
    table->input = malloc(frame_size(&table->messages) + READ_SIZE);
    table->output = malloc(table->output_size);
    return table->input != NULL && table->output != NULL;
}

static void free_ring(connection_t *connection) {
    if (connection->capacity > 1)
        free(connection->flights.ring);
}

void table_free(table_t *table) {
    for (size_t fd = 0; fd < table->connections_size; fd++)
        free_ring(&table->connections[fd]);
    for (uint32_t slot = 0; slot < table->slots_size; slot++)
        free(table->slots[slot].buckets);
    free(table->connections);
    free(table->slots);
    free(table->input);
    free(table->output);
}

int64_t slot_open(table_t *table) {
    uint32_t slot = 0;
    while (slot < table->slots_size && table->slots[slot].open)
        slot++;
    if (slot == table->slots_size) {
        uint32_t size = slot < 16 ? 16 : 2 * slot;
        slot_t *slots = realloc(table->slots, size * sizeof *slots);
        if (slots == NULL)
            return -1;
        memset(slots + slot, 0, (size - slot) * sizeof *slots);
        table->slots = slots;
        table->slots_size = size;
    }
    table->slots[slot] = (slot_t){.open = true};
    return slot;
}

bool slot_close(table_t *table, uint32_t slot) {
    slot_t *closing = &table->slots[slot];
    if (closing->in_flight > 0)
        return false;
    if (slot == table->slot)
        table->end_ns = table->start_ns; /* nothing is sent until another interval is set */
    free(closing->buckets);
    *closing = (slot_t){0};
    return true;
}

connection_t *connection_of(const table_t *table, int64_t fd) {
    if (fd < 0 || (uint64_t)fd >= table->connections_size || !table->connections[fd].on)
        return NULL;
    return &table->connections[fd];
}

flight_t *flight_at(connection_t *connection, uint32_t place) {
    flight_t *ring = connection->capacity > 1 ? connection->flights.ring : &connection->flights.single;
    uint32_t at = connection->head + place;
    return &ring[at < connection->capacity ? at : at - connection->capacity];
}

/* Move the flights to a ring with room for `count`. */
static bool widen(connection_t *connection, uint32_t count) {
    if (connection->capacity == 0)
        connection->capacity = 1;
    if (count <= connection->capacity)
        return true;
    uint32_t capacity = count < 8 ? 8 : count;
    flight_t *ring = malloc(capacity * sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint32_t place = 0; place < connection->count; place++)
        ring[place] = *flight_at(connection, place);
    free_ring(connection);
    connection->flights.ring = ring;
    connection->capacity = capacity;
    connection->head = 0;
    return true;
}

/* Make room for descriptors up to `size`. */
static bool lengthen(table_t *table, size_t size) {
    void *room;
    if (posix_memalign(&room, CACHE_LINE, size * sizeof(connection_t)) != 0)
        return false;
    connection_t *connections = room;
    memset(connections, 0, size * sizeof *connections);
    if (table->connections != NULL)
        memcpy(connections, table->connections, table->connections_size * sizeof *connections);
    free(table->connections);
    table->connections = connections;
    table->connections_size = size;
    return true;
}

connection_t *connection_put(table_t *table, uint32_t fd, uint64_t id, uint64_t oldest, uint32_t count) {
    if (fd >= table->connections_size && !lengthen(table, fd + 64u + table->connections_size / 2))
        return NULL;
    connection_t *connection = &table->connections[fd];
    connection->count = connection->head = connection->matched = 0;
    if (!widen(connection, count > table->window ? count : table->window))
        return NULL;
    connection->id = id;
    connection->oldest = oldest;
    connection->on = true;
    connection->stalled = false;
    return connection;
}

bool flight_push(table_t *table, connection_t *connection, flight_t flight) {
    if (connection->count == connection->capacity &&
        (connection->capacity >= MOST_IN_FLIGHT || !widen(connection, 2 * connection->capacity)))
        return false;
    *flight_at(connection, connection->count++) = flight;
    table->slots[flight.slot].in_flight++;
    return true;
}

static void flight_pop(table_t *table, connection_t *connection) {
    table->slots[flight_at(connection, 0)->slot].in_flight--;
    connection->head = connection->head + 1 < connection->capacity ? connection->head + 1 : 0;
    connection->count--;
    connection->oldest++;
}

void connection_take(table_t *table, connection_t *connection) {
    for (uint32_t place = 0; place < connection->count; place++)
        table->slots[flight_at(connection, place)->slot].in_flight--;
    connection->on = false;
}

bool matched_bytes(const table_t *table, const connection_t *connection, uint8_t *into) {
    parts_t parts;
    return make_parts(&table->messages, connection->id, connection->oldest, &parts) &&
           copy_out(&parts, 0, connection->matched, into);
}

/* -- counting ------------------------------------------------------------------------------------------------------ */

int32_t bucket_key(int64_t value_ns) {
    if (value_ns < 0)
        return -1;
    int bits = 64 - __builtin_clzll((unsigned long long)value_ns | 1u);
    int shift = bits > SUB_BITS ? bits - SUB_BITS : 0;
    int64_t key = (int64_t)shift << SUB_BITS | value_ns >> shift;
    return key > HIGHEST_KEY ? -1 : (int32_t)key;
}

/* Count a reply, unless there is no room for a value that is in no bucket. */
static bool count_reply(table_t *table, const flight_t *flight, int64_t arrived_ns, int64_t handled_ns) {
    slot_t *slot = &table->slots[flight->slot];
    const int series = table->window > 0 ? 2 : MOST_SERIES;
    if (slot->buckets == NULL) {
        slot->buckets = calloc((size_t)series * (HIGHEST_KEY + 1), sizeof *slot->buckets);
        if (slot->buckets == NULL)
            return false;
    }
    const int64_t values[MOST_SERIES] = {
        [READ_LAG] = handled_ns - arrived_ns,
        [SERVICE] = arrived_ns - flight->sent_ns,
        [RESPONSE] = arrived_ns - flight->due_ns,
        [SEND_LAG] = flight->sent_ns - flight->due_ns,
    };
    if (slot->outside_count > MOST_OUTSIDE - MOST_SERIES)
        return false;
    for (int place = 0; place < series; place++) {
        const int32_t key = bucket_key(values[place]);
        if (key >= 0)
            slot->buckets[(size_t)place * (HIGHEST_KEY + 1) + (size_t)key]++;
        else
            slot->outside[slot->outside_count++] = (outside_t){values[place], place};
    }
    slot->received++;
    slot->user_stamped += handled_ns == arrived_ns;
    return true;
}

/* -- reading and sending ------------------------------------------------------------------------------------------- */

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The kernel's receive timestamp (SO_TIMESTAMPNS, transport/timestamps.py), or `otherwise`. */
static int64_t arrival(struct msghdr *header, int64_t otherwise) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
        struct timespec stamp;
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_TIMESTAMPNS ||
            part->cmsg_len < CMSG_LEN(sizeof stamp))
            continue;
        memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
        if (stamp.tv_sec >= 0 && stamp.tv_sec < LAST_SECOND && stamp.tv_nsec >= 0 && stamp.tv_nsec < NS_PER_S)
            return stamp.tv_sec * NS_PER_S + stamp.tv_nsec;
    }
    return otherwise;
}

/* Read up to READ_SIZE bytes. -1 with `read_error`, or without one if there are none. */
static ssize_t read_input(int fd, uint8_t *into, leftover_t *leftover) {
    union {
        struct cmsghdr header;
        uint8_t room[CMSG_SPACE(sizeof(struct timespec))];
    } ancillary;
    struct iovec part = {into, READ_SIZE};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
    ssize_t size;
    do
        size = recvmsg(fd, &header, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        leftover->read_error = errno == EAGAIN ? 0 : errno;
    leftover->handled_ns = now_ns();
    leftover->arrived_ns = size > 0 ? arrival(&header, leftover->handled_ns) : leftover->handled_ns;
    return size;
}

/* Send `size` bytes of the output; keep in the leftover what the socket does not accept. */
static bool send_output(table_t *table, int fd, size_t size, leftover_t *leftover) {
    ssize_t sent;
    do
        sent = send(fd, table->output, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        leftover->send_error = errno;
        sent = 0;
    }
    table->bytes_sent += sent;
    if ((size_t)sent == size)
        return true;
    table->connections[fd].stalled = true; /* nothing must follow a part of a frame */
    leftover->unsent = table->output + sent;
    leftover->unsent_size = size - (size_t)sent;
    return false;
}

/* Fill the window. Return false when it could not be filled: the interval is over, or the socket is full. */
static bool refill(table_t *table, connection_t *connection, int fd, leftover_t *leftover) {
    const size_t frame = masked_size(&table->messages);
    while (connection->count < table->window) {
        uint32_t room = table->window - connection->count, fits = (uint32_t)(table->output_size / frame);
        uint32_t count = room < fits ? room : fits;
        for (uint32_t place = 0; place < count; place++)
            if (!next_frame(table, connection->id, connection->oldest + connection->count + place,
                            table->output + place * frame))
                return false;
        const int64_t now = now_ns();
        if (now < table->start_ns || now >= table->end_ns)
            return false;
        for (uint32_t place = 0; place < count; place++)
            if (!flight_push(table, connection, (flight_t){now, now, table->slot}))
                return false; /* cannot be: there is room for the window */
        table->slots[table->slot].sent += count;
        if (!send_output(table, fd, count * frame, leftover))
            return false;
    }
    return true;
}

/* Count the replies at the beginning of `data` that are exactly the expected ones; return how many bytes they are. The
   bytes of an incomplete one count as well. `differs`: the frame that begins there is not exactly the expected one. */
static size_t match(table_t *table, connection_t *connection, const uint8_t *data, size_t size,
                    const leftover_t *instants, bool *differs, uint32_t *counted) {
    const size_t frame = frame_size(&table->messages);
    size_t at = 0;
    parts_t parts;
    *differs = false;
    while (at < size) {
        size_t left = frame - connection->matched, count = size - at < left ? size - at : left;
        if (connection->count == 0 || !make_parts(&table->messages, connection->id, connection->oldest, &parts) ||
            !equals(&parts, connection->matched, data + at, count)) {
            *differs = true;
            return at;
        }
        if (count == left) {
            const flight_t *flight = flight_at(connection, 0);
            if (instants->handled_ns - flight->due_ns > table->timeout_ns ||
                !count_reply(table, flight, instants->arrived_ns, instants->handled_ns)) {
                *differs = true;
                return at;
            }
            flight_pop(table, connection);
            connection->matched = 0;
            (*counted)++;
        } else {
            connection->matched += (uint32_t)count;
        }
        at += count;
    }
    return at;
}

enum served serve(table_t *table, int fd, leftover_t *leftover) {
    memset(leftover, 0, sizeof *leftover);
    connection_t *connection = connection_of(table, fd);
    if (connection == NULL || connection->stalled)
        return NOT_SERVED;
    uint8_t *data = table->input + frame_size(&table->messages);
    const ssize_t received = read_input(fd, data, leftover);
    if (received < 0)
        return leftover->read_error == 0 ? SERVED : LEFT_OVER;
    if (received == 0)
        return NOT_SERVED; /* the end of the stream, which can be read again */
    const size_t size = (size_t)received;
    table->bytes_received += received;
    const uint32_t matched = connection->matched;
    bool differs = true;
    uint32_t counted = 0;
    size_t taken = 0;
    if (table->active)
        taken = match(table, connection, data, size, leftover, &differs, &counted);
    if (differs) {
        /* The frame that differs may have begun in an earlier read, whose bytes were the expected ones. */
        const uint32_t before = taken == 0 ? matched : 0;
        connection->matched = before;
        leftover->rest = data + taken - before;
        leftover->rest_size = size - taken + before;
        if (before > 0 && !matched_bytes(table, connection, data - before))
            return LEFT_OVER; /* cannot be: they have been compared */
        connection->matched = 0;
    }
    const bool filled = counted == 0 || refill(table, connection, fd, leftover);
    connection->stalled = differs || !filled;
    if (connection->stalled)
        return LEFT_OVER;
    return size < READ_SIZE ? SERVED : SERVED_A_PART;
}

enum served fire(table_t *table, int64_t fd, int64_t due_ns, leftover_t *leftover) {
    memset(leftover, 0, sizeof *leftover);
    connection_t *connection = connection_of(table, fd);
    if (connection == NULL || connection->stalled || !table->active || due_ns < table->start_ns || due_ns >= table->end_ns)
        return LEFT_OVER;
    if (!next_frame(table, connection->id, connection->oldest + connection->count, table->output))
        return LEFT_OVER;
    if (!flight_push(table, connection, (flight_t){due_ns, now_ns(), table->slot}))
        return LEFT_OVER;
    table->slots[table->slot].sent++;
    return send_output(table, (int)fd, masked_size(&table->messages), leftover) ? SERVED : LEFT_OVER;
}
