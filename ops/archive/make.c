#include "ops/archive/make.h"

#include "ops/progress.h"
#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdlib.h>

#define SAY_EVERY 256

/* One partition while it is read. The archive's own place stays behind until a file is finished. */
struct lane {
    const char *topic;
    int32_t partition;
    int64_t end;                           /* the partition is archived up to here */
    bool checks_last;                      /* the next record has to be the archive's last one */
    struct archive_count count;            /* up to the last record */
    int64_t records_before, first_in_file; /* of the open file */
    struct container_writer writer;
};

struct making {
    struct archive *archive;
    const struct archive_make_options *options;
    struct lane *lanes; /* of all topics */
    size_t lane_count;
    struct lane *topic_lanes; /* of the topic that is read */
    size_t open;              /* of these, that have not reached their end */
    struct progress progress;
    size_t done;
    struct archive_made made;
    size_t committed_files;
    struct buf record;
    struct err err;
    enum err_kind kind;
};

/* --- Where to begin, where to end ------------------------------------------------------------- */

static void make_lanes(struct making *making)
{
    const struct archive_make_options *options = making->options;

    for (size_t t = 0; t < options->topic_count; t++)
        making->lane_count += (size_t)options->topics[t].partitions;
    making->lanes = mem_alloc((making->lane_count + 1) * sizeof *making->lanes);
    making->lane_count = 0;
    for (size_t t = 0; t < options->topic_count; t++)
        for (int32_t p = 0; p < options->topics[t].partitions; p++)
            making->lanes[making->lane_count++] =
                (struct lane){.topic = options->topics[t].name, .partition = p};
}

/* All ends in one question, so that they are of one moment as nearly as can be. */
static enum err_kind find_ends(struct making *making, struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = making->options->brokers};
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)making->lane_count);
    rd_kafka_t *client = NULL;
    enum err_kind kind = kafka_open_consumer(&client, &options, err);

    for (size_t i = 0; i < making->lane_count; i++)
        rd_kafka_topic_partition_list_add(list, making->lanes[i].topic, making->lanes[i].partition);
    if (kind == ERR_OK)
        kind = kafka_ends(client, list, 10000, err);
    for (size_t i = 0; kind == ERR_OK && i < making->lane_count; i++) {
        making->lanes[i].end = list->elems[i].offset;
        if (making->lanes[i].end < 0)
            kind = err_set(err, ERR_RETRY, "kafka: %s/%" PRId32 ": its end cannot be read",
                           making->lanes[i].topic, making->lanes[i].partition);
    }
    rd_kafka_topic_partition_list_destroy(list);
    kafka_close_consumer(client);
    return kind;
}

static enum err_kind begin_lane(struct making *making, struct lane *lane, struct err *err)
{
    struct archive_place *place = archive_find(making->archive, lane->topic, lane->partition);

    if (place == NULL)
        place = archive_add_place(making->archive, lane->topic, lane->partition);
    if (place->count.records > 0 && lane->end <= place->count.last_offset)
        return err_set(err, ERR_REJECT,
                       "%s/%" PRId32 " ends at offset %" PRId64 ", and the archive has it up to "
                       "%" PRId64 ": it is not the topic that was archived",
                       lane->topic, lane->partition, lane->end, place->count.last_offset);
    archive_count_copy(&lane->count, &place->count);
    lane->checks_last = place->count.records > 0;
    making->progress.total +=
        (size_t)(lane->end - (lane->checks_last ? place->count.last_offset : 0));
    return ERR_OK;
}

/* --- Files ------------------------------------------------------------------------------------ */

static enum err_kind begin_file(struct making *making, struct lane *lane, int64_t offset,
                                struct err *err)
{
    const struct archive_place *place = archive_find(making->archive, lane->topic, lane->partition);
    const struct container_head head = archive_head(place, &lane->count.link);
    AUTO(buf_clear) struct buf path = {0};

    lane->records_before = lane->count.records;
    lane->first_in_file = offset;
    buf_printf(&path, "%s/%s-%05" PRId32 "-%020" PRId64 ".avro", making->archive->folder,
               lane->topic, lane->partition, offset);
    return container_create(&lane->writer, buf_cstr(&path), &head, err);
}

/* The file is whole: the place has it from now on. */
static enum err_kind end_file(struct making *making, struct lane *lane, struct err *err)
{
    struct archive_place *place = archive_find(making->archive, lane->topic, lane->partition);
    enum err_kind kind = container_finish(&lane->writer, err);
    const char *path = buf_cstr(&lane->writer.path);
    int64_t records = lane->count.records - lane->records_before;

    if (kind != ERR_OK)
        return kind;
    place->files = mem_grow(place->files, place->file_count + 1, sizeof *place->files);
    place->files[place->file_count++] = (struct archive_file){
        .name = arena_strdup(&making->archive->arena, strrchr(path, '/') + 1),
        .records = records,
        .first_offset = lane->first_in_file,
        .last_offset = lane->count.last_offset,
        .bytes = lane->writer.bytes,
        .link = lane->count.link,
    };
    archive_count_copy(&place->count, &lane->count);
    making->archive->run.records += records;
    making->made.records += records;
    making->made.files++;
    return ERR_OK;
}

static enum err_kind commit(struct making *making, struct err *err)
{
    if (making->made.files == making->committed_files)
        return ERR_OK;
    making->committed_files = making->made.files;
    return archive_commit(making->archive, err);
}

/* --- Records ---------------------------------------------------------------------------------- */

/* The archive's last record, read again: is this the topic that it came from? */
static enum err_kind check_last(struct lane *lane, const rd_kafka_message_t *message,
                                struct view bytes, struct err *err)
{
    struct archive_link link = archive_link_after(&lane->count.before, bytes);

    lane->checks_last = false;
    if (message->offset != lane->count.last_offset)
        return err_set(err, ERR_REJECT,
                       "%s/%" PRId32 ": the records behind offset %" PRId64
                       ", which the archive has last, are not in the topic any more; it begins "
                       "with %" PRId64,
                       lane->topic, lane->partition, lane->count.last_offset, message->offset);
    if (!archive_link_equal(&link, &lane->count.link))
        return err_set(err, ERR_REJECT,
                       "%s/%" PRId32 ": at offset %" PRId64
                       " lies another record than the archive has: it is not the topic that was "
                       "archived",
                       lane->topic, lane->partition, message->offset);
    return ERR_OK;
}

static enum err_kind add(struct making *making, struct lane *lane, struct err *err)
{
    struct cursor cursor = cursor_over(buf_view(&making->record));
    struct archived record;
    enum err_kind kind = ERR_OK;

    if (!archived_read(&record, &cursor))
        return err_set(err, ERR_STOP, "a record that was just written cannot be read: %s",
                       cursor.why);
    if (lane->writer.file == NULL)
        kind = begin_file(making, lane, record.offset, err);
    if (kind == ERR_OK)
        kind = archive_count_add(&lane->count, &record, lane->topic, &making->archive->arena, err);
    if (kind == ERR_OK)
        kind = container_append(&lane->writer, record.bytes, err);
    if (kind == ERR_OK && lane->writer.bytes >= making->options->file_bytes) {
        kind = end_file(making, lane, err);
        if (kind == ERR_OK)
            kind = commit(making, err);
    }
    return kind;
}

static enum err_kind take(struct making *making, struct lane *lane,
                          const rd_kafka_message_t *message, struct err *err)
{
    const struct archived_at at = {message->offset, rd_kafka_message_timestamp(message, NULL)};
    struct err why;

    buf_reset(&making->record);
    if (archived_write(&making->record, message, at, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "%s/%" PRId32 ", offset %" PRId64 ": %s", lane->topic,
                       lane->partition, message->offset, why.text);
    if (lane->checks_last)
        return check_last(lane, message, buf_view(&making->record), err);
    return add(making, lane, err);
}

static bool each_record(void *context, const rd_kafka_message_t *message)
{
    struct making *making = context;
    struct lane *lane = &making->topic_lanes[message->partition];

    if (message->offset >= lane->end)
        return true;
    making->kind = take(making, lane, message, &making->err);
    if (++making->done % SAY_EVERY == 0)
        progress_say(&making->progress, making->done);
    making->open -= message->offset + 1 == lane->end;
    return making->kind == ERR_OK && making->open > 0;
}

/* --- A topic ---------------------------------------------------------------------------------- */

static enum err_kind end_lanes(struct making *making, size_t count, struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        struct lane *lane = &making->topic_lanes[i];

        if (lane->checks_last)
            kind = err_set(err, ERR_REJECT,
                           "%s/%" PRId32 ": offset %" PRId64
                           ", which the archive has last, is not in the topic any more",
                           lane->topic, lane->partition, lane->count.last_offset);
        else if (lane->writer.file != NULL)
            kind = end_file(making, lane, err);
    }
    return kind == ERR_OK ? commit(making, err) : kind;
}

static enum err_kind archive_topic(struct making *making, const struct declared_topic *topic,
                                   struct err *err)
{
    size_t count = (size_t)topic->partitions, wanted = 0;
    int32_t *partitions = mem_alloc((count + 1) * sizeof *partitions);
    int64_t *offsets = mem_alloc((count + 1) * sizeof *offsets);
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count; i++) {
        const struct lane *lane = &making->topic_lanes[i];

        if (lane->end == 0)
            continue;
        partitions[wanted] = (int32_t)i;
        offsets[wanted++] = lane->checks_last ? lane->count.last_offset : 0;
    }
    making->open = wanted;
    if (wanted > 0)
        kind = kafka_read_to_end(making->options->brokers, topic->name, partitions, offsets, wanted,
                                 each_record, making, err);
    if (kind == ERR_OK && making->kind != ERR_OK) {
        kind = making->kind;
        *err = making->err;
    }
    free(partitions);
    free(offsets);
    return kind == ERR_OK ? end_lanes(making, count, err) : kind;
}

/* --- All of them ------------------------------------------------------------------------------ */

static enum err_kind archive_topics(struct making *making, struct err *err)
{
    enum err_kind kind = find_ends(making, err);

    for (size_t i = 0; i < making->lane_count && kind == ERR_OK; i++)
        kind = begin_lane(making, &making->lanes[i], err);
    making->topic_lanes = making->lanes;
    for (size_t t = 0; t < making->options->topic_count && kind == ERR_OK; t++) {
        kind = archive_topic(making, &making->options->topics[t], err);
        making->topic_lanes += making->options->topics[t].partitions;
    }
    if (kind == ERR_OK)
        progress_say(&making->progress, making->progress.total);
    return kind;
}

enum err_kind archive_make(struct archive *archive, const struct archive_make_options *options,
                           struct archive_made *out, struct err *err)
{
    struct making making = {.archive = archive, .options = options};
    enum err_kind kind;

    progress_start(&making.progress, "records", 0);
    make_lanes(&making);
    kind = archive_topics(&making, err);
    for (size_t i = 0; i < making.lane_count; i++) {
        container_clear(&making.lanes[i].writer);
        archive_count_clear(&making.lanes[i].count);
    }
    free(making.lanes);
    buf_clear(&making.record);
    *out = making.made;
    return kind;
}
