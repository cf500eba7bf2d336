#include "ops/archive/archived.h"

const char ARCHIVED_SCHEMA[] =
    "{\"type\":\"record\",\"name\":\"Record\",\"namespace\":\"tradewind.archive\","
    "\"doc\":\"A record of a Kafka topic, nothing of it interpreted.\",\"fields\":["
    "{\"name\":\"offset\",\"type\":\"long\",\"doc\":\"where it lay\"},"
    "{\"name\":\"timestamp\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"key\",\"type\":[\"null\",\"bytes\"]},"
    "{\"name\":\"value\",\"type\":[\"null\",\"bytes\"]},"
    "{\"name\":\"headers\",\"type\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"record\",\"name\":\"Header\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},"
    "{\"name\":\"value\",\"type\":[\"null\",\"bytes\"]}]}}}]}";

/* --- Writing ---------------------------------------------------------------------------------- */

static void put_optional(struct buf *out, const void *data, size_t size)
{
    wire_put_long(out, data != NULL);
    if (data != NULL)
        wire_put_bytes(out, view_of(data, size));
}

static enum err_kind put_headers(struct buf *out, const rd_kafka_message_t *message,
                                 struct err *err)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t size, count = 0;

    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        count = rd_kafka_header_cnt(headers);
    if (count > 0)
        wire_put_long(out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_header_get_all(headers, i, &name, &value, &size);
        if (!view_is_utf8(view_str(name)))
            return err_set(err, ERR_REJECT, "the name of a header is not UTF-8");
        wire_put_bytes(out, view_str(name));
        put_optional(out, value, size);
    }
    wire_put_long(out, 0);
    return ERR_OK;
}

enum err_kind archived_write(struct buf *out, const rd_kafka_message_t *message,
                             struct archived_at at, struct err *err)
{
    wire_put_long(out, at.offset);
    wire_put_long(out, at.time_ms);
    put_optional(out, message->key, message->key_len);
    put_optional(out, message->payload, message->len);
    return put_headers(out, message, err);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static bool get_optional(struct cursor *cursor, struct view *out)
{
    int64_t branch;

    *out = VIEW_NONE;
    if (!wire_get_long(cursor, &branch))
        return false;
    if (branch == 0)
        return true;
    return branch == 1 ? wire_get_bytes(cursor, out) : cursor_fail(cursor, "is no branch");
}

static bool get_header(struct cursor *cursor, struct header *out)
{
    return wire_get_string(cursor, &out->name) && get_optional(cursor, &out->value);
}

/* As put_headers writes them: one block that says no size, and the end. */
static bool get_headers(struct cursor *cursor, struct view *out)
{
    const unsigned char *start = cursor->at;
    struct header header;
    int64_t count;

    if (!wire_get_long(cursor, &count))
        return false;
    if (count < 0)
        return cursor_fail(cursor, "is an array with sizes");
    for (int64_t i = 0; i < count; i++)
        if (!get_header(cursor, &header))
            return false;
    if (count > 0 && (!wire_get_long(cursor, &count) || count != 0))
        return cursor_fail(cursor, "is an array of several blocks");
    *out = view_of(start, (size_t)(cursor->at - start));
    return true;
}

bool archived_read(struct archived *out, struct cursor *cursor)
{
    const unsigned char *start = cursor->at;

    if (!wire_get_long(cursor, &out->offset) || !wire_get_long(cursor, &out->time_ms) ||
        !get_optional(cursor, &out->key) || !get_optional(cursor, &out->value) ||
        !get_headers(cursor, &out->headers))
        return false;
    out->bytes = view_of(start, (size_t)(cursor->at - start));
    return true;
}

void archived_headers(struct archived_headers *walk, const struct archived *record)
{
    walk->cursor = cursor_over(record->headers);
    wire_get_long(&walk->cursor, &walk->left);
}

bool archived_next_header(void *context, struct header *out)
{
    struct archived_headers *walk = context;

    return walk->left-- > 0 && get_header(&walk->cursor, out);
}
