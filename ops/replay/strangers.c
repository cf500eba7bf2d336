#include "ops/replay/strangers.h"

#include "runtime/kafka.h"

struct search {
    struct strangers *out;
    struct asides dropped;
};

static void keep(void *context, const struct log_place *place, const rd_kafka_message_t *message)
{
    struct search *search = context;
    struct strangers *out = search->out;
    AUTO(buf_clear) struct buf headers = {0};
    struct record record;

    if (asides_find(&search->dropped, place->topic, place->partition,
                    dropped_stranger(message->offset)) != NULL)
        return;
    record_read_envelope(&record, message, out->arena);
    kafka_headers_to_block(message, &headers);
    out->list = arena_room(out->arena, out->list, out->count, &out->capacity, sizeof *out->list);
    out->list[out->count++] = (struct stranger){
        .topic = place->topic,
        .partition = place->partition,
        .offset = message->offset,
        .time_ms = record.stored_ms,
        .key = arena_view(out->arena, fold_text(record.key)),
        .headers = arena_view(out->arena, buf_view(&headers)),
        .value = arena_view(out->arena, fold_text(record.value)),
        .error = arena_strdup(out->arena, record.why.text),
    };
}

static enum err_kind pass_by(void *context, struct log_place *place,
                             const rd_kafka_message_t *message, struct err *err)
{
    (void)context;
    (void)place;
    (void)message;
    (void)err;
    return ERR_OK;
}

static void aim(struct log_reader *reader, const struct log_reader *position)
{
    for (size_t i = 0; i < reader->place_count; i++) {
        struct log_place *place = &reader->places[i];
        const struct log_place *stand = log_reader_place(position, place->topic, place->partition);

        place->until_offset = stand != NULL && stand->next_offset > 0 ? stand->next_offset : 0;
        place->may_begin_late = true;
    }
}

enum err_kind strangers_read(struct strangers *out, const struct log_reader *position,
                             const char *part, const enum topic *inputs, size_t input_count,
                             const struct schema_ids *ids, struct err *err)
{
    struct search search = {.out = out};
    struct asides numbered;
    struct log_reader reader;
    enum err_kind kind =
        log_reader_open(&reader, position->brokers, inputs, input_count, position->partitions, err);

    asides_init(&search.dropped);
    asides_init(&numbered);
    reader.on_stranger = keep;
    reader.stranger_context = &search;
    aim(&reader, position);
    if (kind == ERR_OK)
        kind = dropped_read(&numbered, &search.dropped, position->brokers, part,
                            position->partitions, ids, err);
    if (kind == ERR_OK)
        kind = log_reader_run(&reader, pass_by, NULL, err);
    log_reader_close(&reader);
    asides_clear(&numbered);
    asides_clear(&search.dropped);
    return kind;
}
