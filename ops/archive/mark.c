#include "ops/archive/mark.h"

#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/kafka.h"

#include <errno.h>
#include <unistd.h>

#define MARK_BYTES_MAX 65536
#define ANSWER_MS 10000

/* A cluster's id is 22 characters of base64url. */
static enum err_kind find_cluster(const char **out, const char *brokers, struct arena *arena,
                                  struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = brokers};
    rd_kafka_t *client;
    enum err_kind kind = kafka_open_consumer(&client, &options, err);
    char *id;

    if (kind != ERR_OK)
        return kind;
    id = rd_kafka_clusterid(client, ANSWER_MS);
    if (id == NULL || strchr(id, '/') != NULL)
        kind =
            err_set(err, ERR_RETRY, "no Kafka broker at %s says which cluster it is of", brokers);
    else
        *out = arena_strdup(arena, id);
    if (id != NULL)
        rd_kafka_mem_free(client, id);
    kafka_close_consumer(client);
    return kind;
}

static const char *read_text(struct json_reader *reader, const struct json *root, const char *name,
                             size_t min)
{
    return arena_view(reader->arena, json_read_text(reader, root, name, min, 4096)).data;
}

static enum err_kind read_mark(struct restore_mark *mark, struct arena *arena, struct err *err)
{
    struct json_reader reader = {.arena = arena};
    struct json *root;
    struct view text;
    enum err_kind kind = file_read(&text, mark->path, MARK_BYTES_MAX, arena, err);

    if (kind != ERR_OK)
        return kind;
    if (json_parse(&root, text, arena, NULL) == ERR_OK) {
        mark->run = read_text(&reader, root, "run", ULID_SIZE - 1);
        mark->actor = read_text(&reader, root, "actor", 1);
        mark->because = read_text(&reader, root, "because", 0);
        mark->time_us = json_read_int64(&reader, root, "time_us", 0, INT64_MAX);
    } else {
        reader.failed = true;
    }
    if (reader.failed)
        return err_set(err, ERR_REJECT,
                       "%s is damaged: empty the topics, remove it and restore again", mark->path);
    return ERR_OK;
}

enum err_kind mark_find(struct restore_mark *out, const struct archive *archive,
                        const char *brokers, struct arena *arena, struct err *err)
{
    const char *cluster;
    enum err_kind kind = find_cluster(&cluster, brokers, arena, err);

    if (kind != ERR_OK)
        return kind;
    *out = (struct restore_mark){
        .path = arena_printf(arena, "%s/restoring-%s.json", archive->folder, cluster).data};
    out->found = access(out->path, F_OK) == 0;
    return out->found ? read_mark(out, arena, err) : ERR_OK;
}

static enum err_kind sync_folder(const struct archive *archive, struct err *err)
{
    return fsync(archive->lock) == 0
               ? ERR_OK
               : err_set(err, ERR_STOP, "%s: %s", archive->folder, strerror(errno));
}

enum err_kind mark_set(struct restore_mark *mark, const struct archive *archive, struct err *err)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};
    enum err_kind kind;

    json_object_start(&json);
    json_member_str(&json, "run", mark->run);
    json_member_str(&json, "actor", mark->actor);
    json_member_str(&json, "because", mark->because);
    json_member_int64(&json, "time_us", mark->time_us);
    json_object_end(&json);
    kind = file_write(mark->path, buf_view(&text), err);
    return kind == ERR_OK ? sync_folder(archive, err) : kind;
}

enum err_kind mark_remove(const struct restore_mark *mark, const struct archive *archive,
                          struct err *err)
{
    if (unlink(mark->path) != 0)
        return err_set(err, ERR_STOP, "%s: %s", mark->path, strerror(errno));
    return sync_folder(archive, err);
}
