#include "ops/replay/log_reader.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define FETCH_BYTES (4u << 20)
#define WAKE_BYTES (FETCH_BYTES / 4)
#define POLL_MS 50
#define POLL_RECORDS 256
#define SILENCE_MS 15000 /* the broker says nothing at all */
#define BEHIND_MS 10000  /* a committed number does not come into the topic */
#define CALL_MS 100
#define PLACE_BYTES (64u << 10) /* at once, abreast: more puts a place ahead of the others */
#define ABREAST_RECORDS 100000  /* lead of all places together: pauses are seldom enough */
#define PACE_MIN_US 2000        /* shorter sleeps cost more than they bring */

static enum err_kind open_places(struct log_reader *reader, const char *brokers,
                                 const enum topic *topics, size_t topic_count, int32_t partitions,
                                 size_t place_bytes, struct err *err)
{
    const struct kafka_consumer_options options = {
        .brokers = brokers, .fetch_bytes = FETCH_BYTES, .partition_bytes = place_bytes};
    enum err_kind kind;

    *reader = (struct log_reader){.brokers = brokers, .partitions = partitions};
    reader->place_count = topic_count * (size_t)partitions;
    reader->places = mem_alloc(reader->place_count * sizeof *reader->places);
    for (size_t i = 0; i < reader->place_count; i++) {
        reader->places[i].topic = topics[i / (size_t)partitions];
        reader->places[i].partition = (int32_t)(i % (size_t)partitions);
        reader->places[i].until_offset = -1;
        log_place_start(&reader->places[i], -1, 0, true);
    }
    kind = kafka_open_consumer(&reader->client, &options, err);
    if (kind != ERR_OK)
        return kind;
    reader->queue = rd_kafka_queue_get_consumer(reader->client);
    fetch_waker_init(&reader->waker, reader->client);
    return ERR_OK;
}

enum err_kind log_reader_open(struct log_reader *reader, const char *brokers,
                              const enum topic *topics, size_t topic_count, int32_t partitions,
                              struct err *err)
{
    return open_places(reader, brokers, topics, topic_count, partitions, 0, err);
}

enum err_kind log_reader_open_abreast(struct log_reader *reader, const char *brokers,
                                      const enum topic *topics, size_t topic_count,
                                      int32_t partitions, struct err *err)
{
    enum err_kind kind =
        open_places(reader, brokers, topics, topic_count, partitions, PLACE_BYTES, err);

    if (kind == ERR_OK)
        abreast_init(&reader->abreast, reader->place_count,
                     ABREAST_RECORDS / reader->place_count + 1);
    return kind;
}

void log_reader_close(struct log_reader *reader)
{
    fetch_waker_clear(&reader->waker);
    if (reader->queue != NULL)
        rd_kafka_queue_destroy(reader->queue);
    kafka_close_consumer(reader->client);
    abreast_clear(&reader->abreast);
    free(reader->places);
    *reader = (struct log_reader){0};
}

struct log_place *log_reader_place(const struct log_reader *reader, enum topic topic,
                                   int32_t partition)
{
    size_t partitions = (size_t)reader->partitions;

    if (partition < 0 || partition >= reader->partitions)
        return NULL;
    for (size_t first = 0; first < reader->place_count; first += partitions)
        if (reader->places[first].topic == topic)
            return &reader->places[first + (size_t)partition];
    return NULL;
}

void log_place_start(struct log_place *place, int64_t next_offset, uint64_t high_water, bool fresh)
{
    receiver_start(&place->receiver, high_water, next_offset, fresh);
    place->next_offset = next_offset;
    place->high_water = high_water;
    place->fresh = fresh;
    place->highest = high_water;
}

void log_place_put(struct buf *line, const struct log_place *place)
{
    line_text(line, view_str(topic_name(place->topic)));
    line_int64(line, place->partition);
    line_int64(line, place->next_offset);
    line_int64(line, (int64_t)place->high_water);
    line_int64(line, place->fresh);
}

struct log_place *log_place_take(struct log_reader *reader, struct view *line)
{
    AUTO(buf_clear) struct buf topic = {0};
    int64_t partition, next_offset, high_water, fresh;
    struct log_place *place;

    buf_append_view(&topic, line_next_text(line));
    if (!line_next_int64(line, &partition) || !line_next_int64(line, &next_offset) ||
        !line_next_int64(line, &high_water) || !line_next_int64(line, &fresh) ||
        partition != (int32_t)partition || next_offset < -1 || high_water < 0)
        return NULL;
    place = log_reader_place(reader, topic_from_name(buf_cstr(&topic)), (int32_t)partition);
    if (place != NULL)
        log_place_start(place, next_offset, (uint64_t)high_water, fresh != 0);
    return place;
}

/* --- Ends ------------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *all_places(const struct log_reader *reader, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->place_count);

    for (size_t i = 0; i < reader->place_count; i++)
        rd_kafka_topic_partition_list_add(list, topic_name(reader->places[i].topic),
                                          reader->places[i].partition)
            ->offset = offset;
    return list;
}

static enum err_kind take_ends(struct log_reader *reader,
                               const rd_kafka_topic_partition_list_t *list, struct err *err)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *found = &list->elems[i];
        struct log_place *place =
            log_reader_place(reader, topic_from_name(found->topic), found->partition);

        if (place == NULL || found->offset < 0)
            return err_set(err,
                           found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                                   found->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                                   found->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
                               ? ERR_REJECT
                               : ERR_RETRY,
                           "kafka: %s/%d: its end: %s", found->topic, found->partition,
                           rd_kafka_err2str(found->err));
        place->until_offset = found->offset;
    }
    return ERR_OK;
}

enum err_kind log_reader_aim_at_ends(struct log_reader *reader, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = all_places(reader, RD_KAFKA_OFFSET_END);
    enum err_kind kind = kafka_ends(reader->client, list, 10000, err);

    if (kind == ERR_OK)
        kind = take_ends(reader, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return kind;
}

enum err_kind log_reader_aim_at_time(struct log_reader *reader, int64_t time_ms, struct err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
    enum err_kind kind = log_reader_aim_at_ends(reader, err);

    if (kind != ERR_OK)
        return kind;
    list = all_places(reader, time_ms);
    code = rd_kafka_offsets_for_times(reader->client, list, 10000);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_RETRY, "kafka: offsets at a time: %s", rd_kafka_err2str(code));
    for (int i = 0; kind == ERR_OK && i < list->cnt; i++) {
        struct log_place *place = log_reader_place(reader, topic_from_name(list->elems[i].topic),
                                                   list->elems[i].partition);

        /* Negative: no record is that late, and the end stands. */
        if (place != NULL && list->elems[i].offset >= 0 &&
            list->elems[i].offset < place->until_offset)
            place->until_offset = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return kind;
}

void log_reader_aim_at(struct log_reader *reader, const struct log_reader *position)
{
    for (size_t i = 0; i < reader->place_count; i++) {
        struct log_place *place = &reader->places[i];
        const struct log_place *stand = log_reader_place(position, place->topic, place->partition);

        place->until_offset = stand != NULL && stand->next_offset > 0 ? stand->next_offset : 0;
        place->may_begin_late = true;
    }
}

enum err_kind log_reader_open_since(struct log_reader *reader, const struct log_reader *position,
                                    enum topic topic, int64_t since_ms, struct err *err)
{
    enum err_kind kind =
        log_reader_open(reader, position->brokers, &topic, 1, position->partitions, err);

    if (kind == ERR_OK)
        kind = log_reader_aim_at_time(reader, since_ms, err);
    for (size_t i = 0; kind == ERR_OK && i < reader->place_count; i++)
        log_place_start(&reader->places[i], reader->places[i].until_offset, 0, true);
    if (kind == ERR_OK)
        log_reader_aim_at(reader, position);
    return kind;
}

static bool is_there(const struct log_place *place)
{
    if (place->until_offset >= 0)
        return place->receiver.next_offset >= place->until_offset || place->until_offset == 0;
    return place->receiver.high_water >= place->until_number;
}

bool log_reader_is_there(const struct log_reader *reader)
{
    for (size_t i = 0; i < reader->place_count; i++)
        if (!is_there(&reader->places[i]))
            return false;
    return true;
}

int64_t log_reader_left(const struct log_reader *reader)
{
    int64_t left = 0;

    for (size_t i = 0; i < reader->place_count; i++) {
        const struct log_place *place = &reader->places[i];
        int64_t at = place->receiver.next_offset > 0 ? place->receiver.next_offset : 0;

        if (place->until_offset >= 0)
            left += place->until_offset > at ? place->until_offset - at : 0;
        else if (place->until_number > place->receiver.high_water)
            left += (int64_t)(place->until_number - place->receiver.high_water);
    }
    return left;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static size_t assign(struct log_reader *reader)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->place_count);
    size_t open = 0;

    abreast_start(&reader->abreast);
    for (size_t i = 0; i < reader->place_count; i++) {
        struct log_place *place = &reader->places[i];

        place->at_end = false;
        place->done = is_there(place);
        if (place->done) {
            abreast_at_end(&reader->abreast, i);
            continue;
        }
        open++;
        /* A gap that was left open is read again from where it began. */
        log_place_start(place, place->next_offset, place->high_water, place->fresh);
        rd_kafka_topic_partition_list_add(list, topic_name(place->topic), place->partition)
            ->offset = place->next_offset >= 0 ? place->next_offset : RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(reader->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return open;
}

static enum err_kind check_first(const struct log_place *place, uint64_t number, struct err *err)
{
    if (!place->fresh || number <= 1 || place->may_begin_late)
        return ERR_OK;
    return err_set(err, ERR_REJECT,
                   "%s/%d begins with number %" PRIu64
                   ": what came before is not in the topic any more; restore it from its archive",
                   topic_name(place->topic), place->partition, number);
}

static void keep_position(struct log_place *place)
{
    place->next_offset = receiver_position(&place->receiver);
    place->high_water = place->receiver.high_water;
    place->fresh = place->receiver.fresh;
}

/* One record. *taken: it is the next in its sequence. */
static enum err_kind judge(struct log_reader *reader, struct log_place *place,
                           const rd_kafka_message_t *message, bool *taken, struct err *err)
{
    uint64_t number = kafka_record_number(message, topic_writer(place->topic));
    enum err_kind kind = check_first(place, number, err);

    *taken = false;
    if (kind != ERR_OK)
        return kind;
    if (number == 0) {
        reader->ignored++;
        if (reader->on_stranger != NULL)
            reader->on_stranger(reader->stranger_context, place, message);
        receiver_read_unnumbered(&place->receiver, message->offset);
        return ERR_OK;
    }
    if (number > place->highest)
        place->highest = number;
    *taken = receiver_read(&place->receiver, number, message->offset) == RECEIVER_APPLY;
    return ERR_OK;
}

static bool is_beyond(const struct log_place *place, const rd_kafka_message_t *message)
{
    if (place->until_offset >= 0)
        return message->offset >= place->until_offset;
    return place->receiver.high_water >= place->until_number;
}

/* Sleep off what was read too fast. */
static void keep_pace(struct log_reader *reader)
{
    int64_t now_us, ahead_us;

    if (reader->rate <= 0)
        return;
    now_us = clock_monotonic_us();
    if (reader->pace_us < now_us - 100000)
        reader->pace_us = now_us;
    reader->pace_us += 1000000 / reader->rate;
    ahead_us = reader->pace_us - now_us;
    if (ahead_us >= PACE_MIN_US)
        nanosleep(&(struct timespec){ahead_us / 1000000, ahead_us % 1000000 * 1000}, NULL);
}

static enum err_kind hole(const struct log_place *place, struct err *err)
{
    return err_set(err, ERR_REJECT,
                   "%s/%d: number %" PRIu64 " is missing, and %" PRIu64
                   " is there: ask its writer for it (tradewind audit), or restore it from the "
                   "archive",
                   topic_name(place->topic), place->partition, place->receiver.high_water + 1,
                   place->highest);
}

static enum err_kind behind(const struct log_place *place, struct err *err)
{
    return err_set(err, ERR_REJECT,
                   "%s/%d: number %" PRIu64
                   " is committed and not in the topic yet: start %s, so that it publishes it",
                   topic_name(place->topic), place->partition, place->receiver.high_water + 1,
                   topic_writer(place->topic));
}

struct run {
    struct log_reader *reader;
    size_t open;
    bool heard; /* a record, since the clock was looked at */
    int64_t heard_ms, called_ms;
    enum err_kind (*each)(void *context, struct log_place *place, const rd_kafka_message_t *message,
                          struct err *err);
    void *context;
};

/* The partition is read as far as it goes, or as far as is wanted. */
static enum err_kind place_ends(struct run *run, struct log_place *place, struct err *err)
{
    abreast_at_end(&run->reader->abreast, (size_t)(place - run->reader->places));
    if (place->receiver.gap && place->until_offset >= 0)
        return hole(place, err);
    place->at_end = true;
    if (place->until_offset < 0 && place->receiver.high_water < place->until_number)
        return ERR_OK; /* it is still to come */
    place->done = true;
    run->open--;
    return ERR_OK;
}

/* Pausing drops what was fetched ahead and takes a moment: all that change do so at once. */
static void keep_abreast(struct log_reader *reader, bool nothing_came)
{
    rd_kafka_topic_partition_list_t *wait, *go_on;

    if (!abreast_look(&reader->abreast, nothing_came))
        return;
    wait = rd_kafka_topic_partition_list_new(0);
    go_on = rd_kafka_topic_partition_list_new(0);
    for (size_t i = 0; i < reader->place_count; i++)
        if (reader->abreast.places[i].is_changed)
            rd_kafka_topic_partition_list_add(reader->abreast.places[i].waits ? wait : go_on,
                                              topic_name(reader->places[i].topic),
                                              reader->places[i].partition);
    rd_kafka_pause_partitions(reader->client, wait);
    rd_kafka_resume_partitions(reader->client, go_on);
    rd_kafka_topic_partition_list_destroy(wait);
    rd_kafka_topic_partition_list_destroy(go_on);
}

static void wake_fetching(struct log_reader *reader, const struct log_place *place,
                          const rd_kafka_message_t *message)
{
    reader->unasked_bytes += message->len + message->key_len;
    if (reader->unasked_bytes < WAKE_BYTES)
        return;
    reader->unasked_bytes = 0;
    fetch_waker_wake(&reader->waker, topic_name(place->topic), place->partition);
}

static enum err_kind take(struct run *run, const rd_kafka_message_t *message, struct err *err)
{
    struct log_place *place = log_reader_place(
        run->reader, topic_from_name(rd_kafka_topic_name(message->rkt)), message->partition);
    enum err_kind kind;
    bool taken;

    if (place == NULL || place->done)
        return ERR_OK;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return place_ends(run, place, err);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "kafka: %s/%d: %s", topic_name(place->topic),
                       place->partition, rd_kafka_message_errstr(message));
    run->heard = true;
    if (is_beyond(place, message))
        return place_ends(run, place, err);
    kind = judge(run->reader, place, message, &taken, err);
    if (kind != ERR_OK)
        return kind;
    run->reader->records++;
    wake_fetching(run->reader, place, message);
    abreast_read(&run->reader->abreast, (size_t)(place - run->reader->places),
                 rd_kafka_message_timestamp(message, NULL));
    if (taken && (kind = run->each(run->context, place, message, err)) != ERR_OK)
        return kind;
    keep_position(place);
    keep_pace(run->reader);
    return is_there(place) ? place_ends(run, place, err) : ERR_OK;
}

static enum err_kind check_silence(const struct run *run, int64_t now_ms, struct err *err)
{
    for (size_t i = 0; i < run->reader->place_count; i++) {
        const struct log_place *place = &run->reader->places[i];

        if (!place->done && place->at_end && place->until_offset < 0 &&
            now_ms - run->heard_ms > BEHIND_MS)
            return place->receiver.gap ? hole(place, err) : behind(place, err);
    }
    if (now_ms - run->heard_ms <= SILENCE_MS)
        return ERR_OK;
    return err_set(err, ERR_RETRY, "kafka: no record for %d s while reading", SILENCE_MS / 1000);
}

/* What is there, at once: the library takes longer for one after the other. */
static size_t poll_records(struct log_reader *reader, rd_kafka_message_t *messages[POLL_RECORDS])
{
    size_t wanted = reader->rate > 0 ? 1 : POLL_RECORDS;
    ssize_t count = rd_kafka_consume_batch_queue(reader->queue, 0, messages, wanted);

    if (count > 0)
        return (size_t)count;
    messages[0] = rd_kafka_consumer_poll(reader->client, POLL_MS);
    return messages[0] != NULL;
}

/* After each poll: what depends on the time, and on nothing having come. */
static enum err_kind look_around(struct run *run, bool nothing_came, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();
    enum err_kind kind = nothing_came ? check_silence(run, now_ms, err) : ERR_OK;

    if (run->heard)
        run->heard_ms = now_ms;
    run->heard = false;
    keep_abreast(run->reader, nothing_came);
    if (kind != ERR_OK || now_ms - run->called_ms < CALL_MS)
        return kind;
    run->called_ms = now_ms;
    return run->each(run->context, NULL, NULL, err);
}

enum err_kind log_reader_run(struct log_reader *reader,
                             enum err_kind (*each)(void *context, struct log_place *place,
                                                   const rd_kafka_message_t *message,
                                                   struct err *err),
                             void *context, struct err *err)
{
    struct run run = {.reader = reader,
                      .open = assign(reader),
                      .heard_ms = clock_monotonic_ms(),
                      .called_ms = clock_monotonic_ms(),
                      .each = each,
                      .context = context};
    rd_kafka_message_t *messages[POLL_RECORDS];
    enum err_kind kind = ERR_OK;

    while (run.open > 0 && kind == ERR_OK) {
        size_t count = poll_records(reader, messages);

        for (size_t i = 0; i < count; i++) {
            if (kind == ERR_OK)
                kind = take(&run, messages[i], err);
            rd_kafka_message_destroy(messages[i]);
        }
        if (kind == ERR_OK)
            kind = look_around(&run, count == 0, err);
    }
    for (size_t i = 0; i < reader->place_count; i++)
        abreast_at_end(&reader->abreast, i);
    keep_abreast(reader, true);
    rd_kafka_assign(reader->client, NULL);
    return kind;
}
