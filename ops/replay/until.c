#include "ops/replay/until.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <inttypes.h>

static bool parse_position(struct until *out, struct view text)
{
    struct event_ref ref;

    if (!event_ref_read(&ref, text))
        return false;
    out->topic = event_ref_topic(&ref);
    out->partition = ref.shard;
    out->number = ref.number;
    return out->topic != TOPIC_NONE;
}

enum err_kind until_parse(struct until *out, const char *text, struct err *err)
{
    int64_t time_us;

    *out = (struct until){.topic = TOPIC_NONE};
    if (clock_parse_rfc3339(text, strlen(text), &time_us) == 0) {
        if (time_us > clock_utc_us())
            return err_set(err, ERR_REJECT, "%s is still to come", text);
        out->time_ms = time_us / 1000;
        return ERR_OK;
    }
    if (parse_position(out, view_str(text)))
        return ERR_OK;
    return err_set(err, ERR_REJECT,
                   "%s: want a time like 2026-11-21T10:00:00Z or a position like orders/7/42",
                   text);
}

struct find {
    const struct until *until;
    int64_t time_ms;
};

static enum err_kind find_record(void *context, struct log_place *place,
                                 const rd_kafka_message_t *message, struct err *err)
{
    struct find *find = context;

    (void)err;
    if (message != NULL && place->receiver.high_water == find->until->number)
        find->time_ms = rd_kafka_message_timestamp(message, NULL);
    return ERR_OK;
}

/* When the event was stored: read its partition up to it. */
static enum err_kind find_time(struct until *until, const struct log_reader *near, struct err *err)
{
    struct find find = {.until = until};
    struct log_reader reader;
    enum err_kind kind =
        log_reader_open(&reader, near->brokers, &until->topic, 1, near->partitions, err);

    if (kind == ERR_OK)
        kind = log_reader_aim_at_ends(&reader, err);
    for (size_t i = 0; kind == ERR_OK && i < reader.place_count; i++)
        if (reader.places[i].partition != until->partition)
            reader.places[i].until_offset = 0;
    if (kind == ERR_OK)
        kind = log_reader_run(&reader, find_record, &find, err);
    if (kind == ERR_OK && find.time_ms == 0) {
        const struct log_place *place = log_reader_place(&reader, until->topic, until->partition);

        kind = err_set(
            err, ERR_REJECT, "%s/%d/%" PRIu64 " is past the end: its topic ends at %" PRIu64,
            topic_writer(until->topic), until->partition, until->number, place->high_water);
    }
    log_reader_close(&reader);
    until->time_ms = find.time_ms;
    return kind;
}

/* What was folded cannot be taken out again. */
static enum err_kind check_is_ahead(const struct log_reader *reader, struct err *err)
{
    for (size_t i = 0; i < reader->place_count; i++) {
        const struct log_place *place = &reader->places[i];

        if (place->until_offset >= 0 ? place->next_offset > place->until_offset
                                     : place->high_water > place->until_number)
            return err_set(err, ERR_REJECT,
                           "what is there already stands behind that in %s/%d: begin again with "
                           "--fresh, or from an earlier snapshot",
                           topic_name(place->topic), place->partition);
    }
    return ERR_OK;
}

enum err_kind until_aim(struct until *until, struct log_reader *reader, struct err *err)
{
    struct log_place *place;
    enum err_kind kind = ERR_OK;

    if (until->topic != TOPIC_NONE && until->partition >= reader->partitions)
        return err_set(err, ERR_REJECT, "%s has no partition %d, only %d", topic_name(until->topic),
                       until->partition, reader->partitions);
    if (until->topic != TOPIC_NONE)
        kind = find_time(until, reader, err);
    if (kind == ERR_OK)
        kind = log_reader_aim_at_time(reader, until->time_ms + 1, err);
    place = until->topic != TOPIC_NONE && kind == ERR_OK
                ? log_reader_place(reader, until->topic, until->partition)
                : NULL;
    if (place != NULL) {
        place->until_offset = -1;
        place->until_number = until->number;
    }
    return kind == ERR_OK ? check_is_ahead(reader, err) : kind;
}
