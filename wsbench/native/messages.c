#include "messages.h"

#include <string.h>

static const char JSON_END[] = "\"}";

static size_t put_text(uint8_t *into, const char *text) {
    size_t size = strlen(text);
    memcpy(into, text, size);
    return size;
}

static size_t put_number(uint8_t *into, uint64_t number) {
    uint8_t digits[20];
    size_t size = 0;
    do {
        digits[sizeof digits - ++size] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    memcpy(into, digits + sizeof digits - size, size);
    return size;
}

bool make_parts(const messages_t *messages, uint64_t id, uint64_t seq, parts_t *parts) {
    size_t size = messages->header;
    memcpy(parts->front, messages->plain, sizeof messages->plain);
    if (messages->payload != NULL) {
        parts->front_size = size;
        parts->body = messages->payload;
        parts->body_size = messages->size;
        parts->end_size = 0;
        return true;
    }
    size += put_text(parts->front + size, "{\"id\":");
    size += put_number(parts->front + size, id);
    size += put_text(parts->front + size, ",\"seq\":");
    size += put_number(parts->front + size, seq);
    size += put_text(parts->front + size, ",\"pad\":\"");
    parts->front_size = size;
    parts->end_size = sizeof JSON_END - 1;
    size_t whole = (size_t)messages->header + messages->size;
    if (size + parts->end_size > whole)
        return false;
    parts->body_size = whole - size - parts->end_size;
    parts->body = messages->noise + seq % messages->period * messages->stride % messages->places;
    return true;
}

typedef struct {
    const uint8_t *at;
    size_t size;
} span_t;

/* The spans, up to three, of `size` bytes of a frame from `from` on; return their number, or -1 if it has not so many. */
static inline int find_spans(const parts_t *parts, size_t from, size_t size, span_t spans[3]) {
    const span_t all[] = {{parts->front, parts->front_size},
                          {parts->body, parts->body_size},
                          {(const uint8_t *)JSON_END, parts->end_size}};
    int count = 0;
    for (int part = 0; part < 3 && size > 0; part++) {
        if (from < all[part].size) {
            const size_t left = all[part].size - from, taken = left < size ? left : size;
            spans[count++] = (span_t){all[part].at + from, taken};
            size -= taken;
            from = 0;
        } else {
            from -= all[part].size;
        }
    }
    return size == 0 ? count : -1;
}

bool equals(const parts_t *parts, size_t from, const uint8_t *data, size_t size) {
    span_t spans[3];
    const int count = find_spans(parts, from, size, spans);
    for (int place = 0; place < count; place++) {
        if (memcmp(data, spans[place].at, spans[place].size) != 0)
            return false;
        data += spans[place].size;
    }
    return count >= 0;
}

bool copy_out(const parts_t *parts, size_t from, size_t size, uint8_t *into) {
    span_t spans[3];
    const int count = find_spans(parts, from, size, spans);
    for (int place = 0; place < count; place++) {
        memcpy(into, spans[place].at, spans[place].size);
        into += spans[place].size;
    }
    return count >= 0;
}

bool message_payload(const messages_t *messages, uint64_t id, uint64_t seq, uint8_t *into) {
    parts_t parts;
    return make_parts(messages, id, seq, &parts) && copy_out(&parts, messages->header, messages->size, into);
}

static size_t make_header(uint8_t *into, uint8_t first_byte, uint32_t size, uint8_t mask_bit) {
    into[0] = first_byte;
    if (size < 126) {
        into[1] = (uint8_t)(mask_bit | size);
        return 2;
    }
    size_t bytes = size < 65536 ? 2 : 8;
    into[1] = (uint8_t)(mask_bit | (bytes == 2 ? 126 : 127));
    for (size_t place = 0; place < bytes; place++)
        into[2 + place] = (uint8_t)((uint64_t)size >> (8 * (bytes - 1 - place)));
    return 2 + bytes;
}

void messages_init(messages_t *messages, uint8_t first_byte) {
    messages->header = (uint32_t)make_header(messages->plain, first_byte, messages->size, 0);
    make_header(messages->masked, first_byte, messages->size, 0x80);
}

static void apply_mask(uint8_t *data, size_t size, uint32_t key) {
    uint64_t wide = (uint64_t)key << 32 | key, word;
    uint8_t bytes[sizeof key];
    memcpy(bytes, &key, sizeof key);
    size_t at = 0;
    for (; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        word ^= wide;
        memcpy(data + at, &word, sizeof word);
    }
    for (; at < size; at++)
        data[at] ^= bytes[at & 3];
}

bool make_frame(const messages_t *messages, uint64_t id, uint64_t seq, uint32_t key, uint8_t *into) {
    memcpy(into, messages->masked, messages->header);
    memcpy(into + messages->header, &key, sizeof key);
    uint8_t *payload = into + messages->header + sizeof key;
    if (!message_payload(messages, id, seq, payload))
        return false;
    apply_mask(payload, messages->size, key);
    return true;
}
