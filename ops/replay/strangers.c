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

enum err_kind strangers_read(struct strangers *out, const struct log_reader *position,
                             const char *part, const enum topic *inputs, size_t input_count,
                             const struct schema_ids *ids, struct err *err)
{
    struct search search = {.out = out};
    struct log_reader reader;
    enum err_kind kind =
        log_reader_open(&reader, position->brokers, inputs, input_count, position->partitions, err);

    asides_init(&search.dropped);
    reader.on_stranger = keep;
    reader.stranger_context = &search;
    log_reader_aim_at(&reader, position);
    if (kind == ERR_OK)
        kind = dropped_read(NULL, &search.dropped, position->brokers, part, position->partitions,
                            ids, err);
    if (kind == ERR_OK)
        kind = log_reader_run(&reader, pass_by, NULL, err);
    log_reader_close(&reader);
    asides_clear(&search.dropped);
    return kind;
}
