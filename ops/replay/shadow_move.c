#include "ops/replay/shadow.h"
#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdio.h>

#define BATCH_EVENTS 20000
#define BATCH_BYTES (8u << 20)

static const struct pg_statement POSITION_WRITE = {
    "replay_position_write",
    "insert into replay_position (topic, partition, next_offset, high_water, fresh)"
    " select unnest($1::text[]), unnest($2::int[]), unnest($3::bigint[]), unnest($4::bigint[]),"
    "        unnest($5::bool[])"
    " on conflict (topic, partition) do update set next_offset = excluded.next_offset,"
    " high_water = excluded.high_water, fresh = excluded.fresh"};
static const struct pg_statement ASIDE_WRITE = {
    "replay_aside_write",
    "insert into replay_aside (topic, partition, record_offset, number, key, headers, value,"
    "  record_time_ms, reason, error, by_live)"
    " select unnest($1::text[]), unnest($2::int[]), unnest($3::bigint[]), unnest($4::bigint[]),"
    "        unnest($5::bytea[]), unnest($6::bytea[]), unnest($7::bytea[]), unnest($8::bigint[]),"
    "        unnest($9::text[]), unnest($10::text[]), unnest($11::bool[])"
    " on conflict do nothing"};
static const struct pg_statement ASIDE_FORGET = {
    "replay_aside_forget",
    "delete from replay_aside a where key = any($1::bytea[]) and (by_live or " SHADOW_SWEPT(
        "") ")"};
static const struct pg_statement WAITING_FORGET = {
    "replay_waiting_forget", "delete from replay_waiting where key = any($1::text[])"};
static const struct pg_statement BEGIN = {"begin", "begin"};
static const struct pg_statement COMMIT = {"commit", "commit"};

/* --- Folding ---------------------------------------------------------------------------------- */

void shadow_start_asides(struct shadow *shadow)
{
    PG_BATCH_START(&shadow->aside_rows, PG_TEXT, PG_INT4, PG_INT8, PG_INT8, PG_BYTEA, PG_BYTEA,
                   PG_BYTEA, PG_INT8, PG_TEXT, PG_TEXT, PG_BOOL);
}

void shadow_keep_aside(struct shadow *shadow, const struct aside_record *record)
{
    struct pg_column *columns = shadow->aside_rows.columns;
    struct aside *aside = asides_add(&shadow->asides, record->topic, record->partition,
                                     record->number, record->key, record->by_live);

    if (!aside->by_live)
        asides_park(&shadow->asides, aside);
    pg_column_bytes(&columns[0], view_str(topic_name(record->topic)));
    pg_column_int4(&columns[1], record->partition);
    pg_column_int8(&columns[2], record->offset);
    pg_column_int8(&columns[3], (int64_t)record->number);
    pg_column_bytes(&columns[4], fold_text(record->key));
    pg_column_bytes(&columns[5], record->headers);
    pg_column_bytes(&columns[6], fold_text(record->value));
    pg_column_int8(&columns[7], record->time_ms);
    pg_column_bytes(&columns[8], view_str(record->reason));
    pg_column_bytes(&columns[9], view_str(record->error));
    pg_column_bool(&columns[10], record->by_live);
}

static void keep_message(struct shadow *shadow, const struct log_place *place,
                         const rd_kafka_message_t *message, const char *reason, const char *error,
                         bool by_live)
{
    AUTO(buf_clear) struct buf headers = {0};

    kafka_headers_to_block(message, &headers);
    shadow_keep_aside(shadow, &(struct aside_record){
                                  .topic = place->topic,
                                  .partition = place->partition,
                                  .offset = message->offset,
                                  .time_ms = rd_kafka_message_timestamp(message, NULL),
                                  .number = place->receiver.high_water,
                                  .key = view_of(message->key, message->key_len),
                                  .headers = buf_view(&headers),
                                  .value = view_of(message->payload, message->len),
                                  .reason = reason,
                                  .error = error,
                                  .by_live = by_live,
                              });
}

static void cannot_be_read(struct shadow *shadow, const struct log_place *place,
                           const rd_kafka_message_t *message, const char *why)
{
    shadow->unreadable++;
    if (shadow->unreadable_example[0] == '\0')
        snprintf(shadow->unreadable_example, sizeof shadow->unreadable_example,
                 "%s/%d offset %" PRId64 ": %.200s", topic_name(place->topic), place->partition,
                 message->offset, why);
    keep_message(shadow, place, message, "undecodable", why, false);
}

/* Is the record one that is not folded? */
static bool is_aside(struct shadow *shadow, const struct log_place *place,
                     const rd_kafka_message_t *message)
{
    const struct aside *aside =
        asides_find(&shadow->asides, place->topic, place->partition, place->receiver.high_water);

    if (aside != NULL) {
        if (aside->by_live)
            keep_message(shadow, place, message, "by_live", "", true);
        return true;
    }
    if (shadow->asides.parked.count == 0 || shadow->fold->publishes == place->topic ||
        lookup_find(&shadow->asides.parked, view_of(message->key, message->key_len)) == NULL)
        return false;
    keep_message(shadow, place, message, "parked", "an earlier record of this key is a dead letter",
                 false);
    return true;
}

enum err_kind shadow_fold(struct shadow *shadow, const struct event *event, struct view value,
                          struct err *err)
{
    enum err_kind kind = fold_batch_add(&shadow->batch, event, value, err);

    shadow->folded += kind == ERR_OK;
    return kind;
}

static enum err_kind take(struct shadow *shadow, const struct log_place *place,
                          const rd_kafka_message_t *message, struct err *err)
{
    struct record record;
    struct event event;
    enum err_kind kind;

    if (is_aside(shadow, place, message))
        return ERR_OK;
    arena_reset(&shadow->record_arena);
    record_read(&record, message, shadow->ids, &shadow->record_arena);
    if (record.is_event && record.envelope.shard != place->partition)
        record.is_event = err_set(&record.why, ERR_REJECT, "ce_id: shard %d in partition %d",
                                  record.envelope.shard, place->partition) == ERR_OK;
    if (record.is_event && !view_equal(record.envelope.subject, record.key))
        record.is_event =
            err_set(&record.why, ERR_REJECT, "ce_subject: not the record's key") == ERR_OK;
    if (!record.is_event) {
        cannot_be_read(shadow, place, message, record.why.text);
        return ERR_OK;
    }
    event = (struct event){.type = record.type,
                           .data = record.event,
                           .envelope = &record.envelope,
                           .shard = place->partition};
    kind = shadow_fold(shadow, &event, record.value, err);
    if (kind == ERR_REJECT) {
        cannot_be_read(shadow, place, message, err->text);
        return ERR_OK;
    }
    shadow->batch_bytes += message->len;
    return kind;
}

static void queue_position(struct shadow *shadow)
{
    struct pg_column *columns = shadow->scratch;
    struct pg_args args = {0};

    pg_column_start(&columns[0], PG_TEXT);
    pg_column_start(&columns[1], PG_INT4);
    pg_column_start(&columns[2], PG_INT8);
    pg_column_start(&columns[3], PG_INT8);
    pg_column_start(&columns[4], PG_BOOL);
    for (size_t i = 0; i < shadow->reader.place_count; i++) {
        const struct log_place *place = &shadow->reader.places[i];

        pg_column_bytes(&columns[0], view_str(topic_name(place->topic)));
        pg_column_int4(&columns[1], place->partition);
        pg_column_int8(&columns[2], place->next_offset);
        pg_column_int8(&columns[3], (int64_t)place->high_water);
        pg_column_bool(&columns[4], place->fresh);
    }
    for (size_t i = 0; i < 5; i++)
        pg_arg_column(&args, &columns[i]);
    pg_queue(shadow->pg, &POSITION_WRITE, &args);
}

void shadow_forget_keys(struct shadow *shadow, const struct view *keys, size_t count)
{
    shadow->forgotten = keys;
    shadow->forgotten_count = count;
}

void shadow_drop_batch(struct shadow *shadow)
{
    fold_batch_start(&shadow->batch);
    shadow_start_asides(shadow);
    shadow->forgotten_count = 0;
    shadow->batch_bytes = 0;
}

static void queue_forgotten(struct shadow *shadow)
{
    struct pg_column *keys = &shadow->scratch[0], *texts = &shadow->scratch[1];
    struct pg_args args = {0};

    pg_column_start(keys, PG_BYTEA);
    pg_column_start(texts, PG_TEXT);
    for (size_t i = 0; i < shadow->forgotten_count; i++) {
        pg_column_bytes(keys, shadow->forgotten[i]);
        if (view_is_utf8(shadow->forgotten[i])) /* else no row can have it */
            pg_column_bytes(texts, shadow->forgotten[i]);
    }
    pg_arg_column(&args, keys);
    pg_queue(shadow->pg, &ASIDE_FORGET, &args);
    args.count = 0;
    pg_arg_column(&args, texts);
    pg_queue(shadow->pg, &WAITING_FORGET, &args);
    for (size_t i = 0; i < shadow->fold->table_count; i++)
        pg_queue(shadow->pg, &shadow->forget[i], &args);
}

/* The answer to the batch that was sent. */
static enum err_kind finish_batch(struct shadow *shadow, struct err *err)
{
    enum err_kind kind;

    if (!shadow->is_sent)
        return ERR_OK;
    shadow->is_sent = false;
    kind = pg_finish_commit(shadow->pg, err);
    shadow->is_broken = kind != ERR_OK;
    return kind;
}

/* PostgreSQL stores it while the next one is read. */
static void send_batch(struct shadow *shadow, bool move)
{
    if (!shadow->is_begun)
        pg_queue(shadow->pg, &BEGIN, NULL);
    shadow->is_begun = false;
    if (shadow->forgotten_count > 0)
        queue_forgotten(shadow);
    fold_batch_queue(&shadow->batch, shadow->pg);
    pg_batch_queue(&shadow->aside_rows, shadow->pg, &ASIDE_WRITE);
    if (move)
        queue_position(shadow);
    pg_queue(shadow->pg, &COMMIT, NULL);
    pg_sync(shadow->pg);
    shadow->is_sent = true;
    shadow_drop_batch(shadow);
}

enum err_kind shadow_flush(struct shadow *shadow, bool move, struct err *err)
{
    enum err_kind kind;

    /* Its position is behind what was not stored: who comes next begins at the stored one. */
    if (shadow->is_broken)
        return err_set(err, ERR_RETRY, "the shadow of %s was not stored", shadow->fold->part);
    kind = finish_batch(shadow, err);
    if (kind == ERR_OK) {
        send_batch(shadow, move);
        kind = finish_batch(shadow, err);
    }
    return kind;
}

/* --- Moving ----------------------------------------------------------------------------------- */

static enum err_kind move_record(void *context, struct log_place *place,
                                 const rd_kafka_message_t *message, struct err *err)
{
    struct shadow *shadow = context;
    enum err_kind kind;

    if (message == NULL) {
        if (shadow->progress != NULL)
            shadow->progress(shadow->context, shadow);
        return ERR_OK;
    }
    /* A full batch goes before the next record, when all positions say what is in it. */
    if (shadow->batch.event_count >= BATCH_EVENTS || shadow->batch_bytes >= BATCH_BYTES) {
        kind = finish_batch(shadow, err);
        if (kind != ERR_OK)
            return kind;
        send_batch(shadow, true);
    }
    return take(shadow, place, message, err);
}

enum err_kind shadow_move(struct shadow *shadow, struct err *err)
{
    struct err of_run = {0};
    enum err_kind kind = log_reader_run(&shadow->reader, move_record, shadow, &of_run);
    /* What was read before an error is kept all the same. */
    enum err_kind stored = shadow_flush(shadow, true, err);

    if (kind != ERR_OK)
        return err_set(err, kind, "%s", of_run.text);
    return stored;
}
