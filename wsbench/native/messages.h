/* The bytes of echo messages and of their frames (measure/payloads.py; RFC 6455, 5.2). */

#ifndef WSBENCH_MESSAGES_H
#define WSBENCH_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRONT_SIZE = 96, /* header (10), the JSON text before the padding (21 and two numbers of 20 digits) */
};

/* The messages of all connections: `payload` is every one of them, or `noise` pads JSON messages (measure/payloads.py):
   message `seq` takes its padding from `noise + seq % period * stride % places`. */
typedef struct {
    const uint8_t *payload, *noise;
    uint64_t places, stride, period;
    uint32_t size;
    uint8_t plain[10], masked[10];
    uint32_t header;
} messages_t;

/* The parts of one frame of the server: `front` (header and beginning), `body`, and `end`. */
typedef struct {
    uint8_t front[FRONT_SIZE];
    const uint8_t *body;
    size_t front_size, body_size, end_size;
} parts_t;

/* Set the headers; all else must be set. */
void messages_init(messages_t *messages, uint8_t first_byte);

static inline size_t frame_size(const messages_t *messages) { return (size_t)messages->header + messages->size; }

static inline size_t masked_size(const messages_t *messages) { return frame_size(messages) + sizeof(uint32_t); }

/* Make the parts of the server's frame. False if the numbers do not fit into a message. */
bool make_parts(const messages_t *messages, uint64_t id, uint64_t seq, parts_t *parts);
/* Return whether `data` is what a frame has from `from` on. */
bool equals(const parts_t *parts, size_t from, const uint8_t *data, size_t size);
/* Copy what a frame has from `from` on; false if it has less. */
bool copy_out(const parts_t *parts, size_t from, size_t size, uint8_t *into);
/* Write the payload of a message. */
bool message_payload(const messages_t *messages, uint64_t id, uint64_t seq, uint8_t *into);
/* Write our frame of a message: `masked_size` bytes. */
bool make_frame(const messages_t *messages, uint64_t id, uint64_t seq, uint32_t key, uint8_t *into);

#endif
