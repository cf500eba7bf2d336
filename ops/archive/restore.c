#include "ops/archive/restore.h"

#include "events/envelope.h"
#include "ops/tell.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define SAY_EVERY 1024
#define LOOK_MS 10000
#define ANSWER_MS 5000

void restore_init(struct restore *restore, const struct archive *archive, const char *brokers)
{
    *restore = (struct restore){.archive = archive, .brokers = brokers};
    restore->lanes = mem_alloc((archive->place_count + 1) * sizeof *restore->lanes);
    for (size_t i = 0; i < archive->place_count; i++)
        restore->lanes[i].place = &archive->places[i];
}

static void stop_walking(struct restore_lane *lane)
{
    if (lane->walks)
        archive_walk_clear(&lane->walk);
    lane->walks = false;
}

static void walk_from_start(struct restore *restore, struct restore_lane *lane)
{
    archive_walk_start(&lane->walk, restore->archive, lane->place);
    lane->walks = true;
    lane->present = 0;
}

void restore_clear(struct restore *restore)
{
    for (size_t i = 0; restore->lanes != NULL && i < restore->archive->place_count; i++)
        stop_walking(&restore->lanes[i]);
    free(restore->lanes);
    *restore = (struct restore){0};
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* A topic that was just made may not be known everywhere at once. */
static enum err_kind look_at(rd_kafka_t *client, struct restore_lane *lane, struct err *err)
{
    const struct timespec moment = {.tv_nsec = 100000000};
    int64_t until_ms = clock_monotonic_ms() + LOOK_MS;

    for (;;) {
        enum err_kind kind = kafka_bounds(client, lane->place->topic, &lane->place->partition, 1,
                                          &lane->low, &lane->high, ANSWER_MS, err);

        if (kind != ERR_OK && clock_monotonic_ms() < until_ms) {
            nanosleep(&moment, NULL);
            continue;
        }
        lane->acknowledged = lane->high;
        return kind;
    }
}

enum err_kind restore_look(struct restore *restore, struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = restore->brokers};
    rd_kafka_t *client = NULL;
    enum err_kind kind = kafka_open_consumer(&client, &options, err);

    for (size_t i = 0; kind == ERR_OK && i < restore->archive->place_count; i++)
        if (!restore->lanes[i].is_missing)
            kind = look_at(client, &restore->lanes[i], err);
    kafka_close_consumer(client);
    return kind;
}

const struct restore_lane *restore_first_held(const struct restore *restore)
{
    for (size_t i = 0; i < restore->archive->place_count; i++)
        if (restore->lanes[i].high > restore->lanes[i].low)
            return &restore->lanes[i];
    return NULL;
}

bool restore_may_be_whole(const struct restore *restore)
{
    for (size_t i = 0; i < restore->archive->place_count; i++) {
        const struct restore_lane *lane = &restore->lanes[i];
        int64_t more = lane->high - lane->low - lane->place->count.records;

        if (more < 0 || (more > 0 && topic_from_name(lane->place->topic) != TOPIC_OPS))
            return false;
    }
    return true;
}

/* --- Comparing -------------------------------------------------------------------------------- */

struct comparing {
    struct restore *restore;
    struct restore_lane *lanes; /* of the topic */
    int64_t done, total;
    struct buf record;
};

/* A record by which an archive or a restore tells itself: it may lie behind all of the archive. */
static bool is_telling(const char *topic, struct view bytes)
{
    const struct view teller = VIEW_LITERAL(TELLER_ARCHIVE "/");
    struct cursor cursor = cursor_over(bytes);
    struct archived_headers headers;
    struct archived record;
    struct envelope envelope;

    if (topic_from_name(topic) != TOPIC_OPS || !archived_read(&record, &cursor))
        return false;
    archived_headers(&headers, &record);
    return envelope_read(&envelope, TOPIC_OPS, archived_next_header, &headers, NULL) == ERR_OK &&
           envelope.source.size > teller.size &&
           view_equal(view_of(envelope.source.data, teller.size), teller);
}

/* The message as it lay when it was archived. */
static struct archived_at at_before(struct restore *restore, const struct archived *want,
                                    const rd_kafka_message_t *message)
{
    struct archived_at at = {want->offset, rd_kafka_message_timestamp(message, NULL)};

    if (want->time_ms == 0 && at.time_ms == ARCHIVED_ZERO_COMES_BACK_AS_MS) {
        at.time_ms = 0;
        restore->zero_times++;
    }
    return at;
}

static enum err_kind compare_record(struct comparing *comparing, struct restore_lane *lane,
                                    const rd_kafka_message_t *message, struct err *err)
{
    const struct archive_place *place = lane->place;
    struct archived want = {.time_ms = -1};
    enum err_kind kind;
    bool end = true;

    kind = lane->walks ? archive_walk_next(&lane->walk, &want, &end, err) : ERR_OK;
    if (end)
        stop_walking(lane);
    buf_reset(&comparing->record);
    if (kind == ERR_OK)
        kind = archived_write(&comparing->record, message,
                              at_before(comparing->restore, &want, message), err);
    if (kind != ERR_OK)
        return kind;
    if (end && is_telling(place->topic, buf_view(&comparing->record)))
        return ERR_OK;
    if (end)
        return err_set(err, ERR_REJECT,
                       "%s/%" PRId32 " holds more than the archive's %" PRId64
                       " records: somebody writes into it",
                       place->topic, place->partition, place->count.records);
    if (!view_equal(buf_view(&comparing->record), want.bytes))
        return err_set(err, ERR_REJECT,
                       "%s/%" PRId32 " holds another record at offset %" PRId64
                       " than the archive (its offset %" PRId64 "): empty the topic first",
                       place->topic, place->partition, message->offset, want.offset);
    lane->present++;
    return ERR_OK;
}

static bool each_record(void *context, const rd_kafka_message_t *message)
{
    struct comparing *comparing = context;
    struct restore *restore = comparing->restore;

    restore->kind =
        compare_record(comparing, &comparing->lanes[message->partition], message, &restore->err);
    if (++comparing->done % SAY_EVERY == 0)
        restore->say(restore->context, "records compared", comparing->done, comparing->total);
    return restore->kind == ERR_OK;
}

/* How many places from the first one on are of one topic. */
static size_t partitions_of(const struct restore *restore, size_t first)
{
    size_t count = 1;

    while (first + count < restore->archive->place_count &&
           strcmp(restore->lanes[first + count].place->topic, restore->lanes[first].place->topic) ==
               0)
        count++;
    return count;
}

static enum err_kind compare_topic(struct comparing *comparing, size_t count, struct err *err)
{
    struct restore *restore = comparing->restore;
    int32_t *partitions = mem_alloc(count * sizeof *partitions);
    int64_t *offsets = mem_alloc(count * sizeof *offsets);
    size_t wanted = 0;
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count; i++) {
        walk_from_start(restore, &comparing->lanes[i]);
        if (comparing->lanes[i].high > comparing->lanes[i].low) {
            partitions[wanted] = comparing->lanes[i].place->partition;
            offsets[wanted++] = comparing->lanes[i].low;
        }
    }
    restore->kind = ERR_OK;
    if (wanted > 0)
        kind = kafka_read_to_end(restore->brokers, comparing->lanes[0].place->topic, partitions,
                                 offsets, wanted, each_record, comparing, err);
    if (kind == ERR_OK && restore->kind != ERR_OK) {
        kind = restore->kind;
        *err = restore->err;
    }
    free(partitions);
    free(offsets);
    return kind;
}

static enum err_kind check_whole(const struct restore *restore, struct err *err)
{
    for (size_t i = 0; i < restore->archive->place_count; i++) {
        const struct restore_lane *lane = &restore->lanes[i];

        if (lane->present < lane->place->count.records)
            return err_set(err, ERR_REJECT,
                           "%s/%" PRId32 " holds only %" PRId64 " of the archive's %" PRId64
                           " records after they were sent: somebody else changes it",
                           lane->place->topic, lane->place->partition, lane->present,
                           lane->place->count.records);
    }
    return ERR_OK;
}

enum err_kind restore_compare(struct restore *restore, bool whole, struct err *err)
{
    struct comparing comparing = {.restore = restore};
    enum err_kind kind = restore_look(restore, err);
    size_t count;

    restore->zero_times = 0;
    for (size_t i = 0; i < restore->archive->place_count; i++)
        comparing.total += restore->lanes[i].high - restore->lanes[i].low;
    for (size_t i = 0; i < restore->archive->place_count && kind == ERR_OK; i += count) {
        count = partitions_of(restore, i);
        comparing.lanes = &restore->lanes[i];
        kind = compare_topic(&comparing, count, err);
        for (size_t p = 0; p < count; p++)
            stop_walking(&comparing.lanes[p]);
    }
    restore->say(restore->context, "records compared", comparing.total, comparing.total);
    buf_clear(&comparing.record);
    return kind == ERR_OK && whole ? check_whole(restore, err) : kind;
}
