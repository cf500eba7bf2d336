#include "ops/replay/tally_file.h"

#include "runtime/bson_read.h"
#include "runtime/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT 1
#define SAVE_PREFIX "save_"
#define NAME_SIZE 32
#define VALID "valid"
#define LINES_MAX (16u << 20)
#define PER_REPLY 10

/* --- Writing ---------------------------------------------------------------------------------- */

struct writing {
    struct mongo *mongo;
    const char *name;
    int64_t parts;
};

static enum err_kind write_part(void *context, const char *what, struct view lines, struct err *err)
{
    struct writing *writing = context;
    AUTO(bson_destroy) bson_t *document = bson_new();
    char id[32];

    snprintf(id, sizeof id, "%010" PRId64, writing->parts++);
    BSON_APPEND_UTF8(document, "_id", id);
    bson_append_utf8(document, what, -1, lines.data, (int)lines.size);
    return mongo_insert(writing->mongo, writing->name, document, NULL, err);
}

static enum err_kind write_valid(struct writing *writing, const struct log_reader *reader,
                                 const struct tally_about *about, struct err *err)
{
    AUTO(bson_destroy) bson_t *document = bson_new();
    AUTO(buf_clear) struct buf text = {0};
    struct buf *lines = &text;

    for (size_t i = 0; i < reader->place_count; i++) {
        log_place_put(lines, &reader->places[i]);
        line_end(lines);
    }
    BSON_APPEND_UTF8(document, "_id", VALID);
    BSON_APPEND_INT64(document, "format", FORMAT);
    BSON_APPEND_INT64(document, "parts", writing->parts);
    BSON_APPEND_INT64(document, "partitions", reader->partitions);
    BSON_APPEND_INT64(document, "unreadable", (int64_t)about->unreadable);
    BSON_APPEND_UTF8(document, "example",
                     view_is_utf8(view_str(about->example)) ? about->example : "not UTF-8");
    BSON_APPEND_INT64(document, "swap_number", (int64_t)about->swap_number);
    BSON_APPEND_UTF8(document, "swap_state", about->swap_state);
    bson_append_utf8(document, "position", -1, lines->data, (int)lines->size);
    return mongo_insert(writing->mongo, writing->name, document, NULL, err);
}

static enum err_kind drop_all(struct mongo *mongo, char *const *names, size_t count,
                              struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; kind == ERR_OK && i < count; i++)
        kind = mongo_drop(mongo, names[i], err);
    return kind;
}

static uint64_t number_of(const char *name)
{
    return strtoull(name + strlen(SAVE_PREFIX), NULL, 10);
}

enum err_kind tally_save(struct mongo *mongo, const struct tally *tally,
                         const struct log_reader *reader, const struct tally_about *about,
                         struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    char name[NAME_SIZE];
    struct writing writing = {.mongo = mongo, .name = name};
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    if (kind != ERR_OK)
        return kind;
    snprintf(name, sizeof name, SAVE_PREFIX "%020" PRIu64,
             count > 0 ? number_of(names[count - 1]) + 1 : 1);
    kind = tally_lines_write(tally, about, write_part, &writing, err);
    return kind == ERR_OK ? write_valid(&writing, reader, about, err) : kind;
}

enum err_kind tally_drop_older(struct mongo *mongo, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    for (size_t i = count; kind == ERR_OK && i-- > 0;) {
        AUTO(bson_destroy) bson_t *valid = NULL;

        kind = mongo_find(mongo, names[i], VALID, &valid, err);
        if (kind == ERR_OK && valid != NULL)
            return drop_all(mongo, names, i, err);
    }
    return kind;
}

enum err_kind tally_drop(struct mongo *mongo, bool *dropped, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    if (kind == ERR_OK && count > 0 && dropped != NULL)
        *dropped = true;
    return kind == ERR_OK ? drop_all(mongo, names, count, err) : kind;
}

/* --- Reading ---------------------------------------------------------------------------------- */

struct reading {
    struct tally_lines lines;
    struct bson_reader reader;
    int64_t parts;
};

static void says_nothing(struct reading *reading, const char *what, struct view line)
{
    bson_fail(&reading->reader, "a line of its %s says nothing: %.40s", what,
              arena_view(reading->lines.arena, line).data);
}

/* A part has one field beside its _id: what kind its lines are. */
static enum err_kind read_part(void *context, const bson_t *document, struct err *err)
{
    struct reading *reading = context;
    struct view rest, line;
    bson_iter_t field;

    (void)err;
    if (!bson_iter_init(&field, document))
        return ERR_OK;
    while (bson_iter_next(&field)) {
        const char *what = bson_iter_key(&field);

        if (!tally_lines_have(what))
            continue;
        reading->parts++;
        rest = bson_read_text(&reading->reader, document, what, LINES_MAX);
        while (reading->reader.kind == ERR_OK && lines_next(&rest, &line))
            if (!tally_lines_read(&reading->lines, what, line))
                says_nothing(reading, what, line);
    }
    return reading->reader.kind;
}

static void read_position(struct reading *reading, struct log_reader *reader,
                          const bson_t *document)
{
    struct view rest = bson_read_text(&reading->reader, document, "position", LINES_MAX), line;

    while (reading->reader.kind == ERR_OK && lines_next(&rest, &line)) {
        struct view fields = line;

        if (log_place_take(reader, &fields) == NULL)
            says_nothing(reading, "position", line);
    }
}

static void read_about(struct tally_about *about, struct bson_reader *reader, const bson_t *valid)
{
    struct view example = bson_read_text(reader, valid, "example", sizeof about->example - 1);
    struct view state = bson_read_text(reader, valid, "swap_state", sizeof about->swap_state - 1);

    about->unreadable = (uint64_t)bson_read_int64(reader, valid, "unreadable", 0, INT64_MAX);
    about->swap_number = (uint64_t)bson_read_int64(reader, valid, "swap_number", 0, INT64_MAX);
    snprintf(about->example, sizeof about->example, "%.*s", VIEW_PRINT(example));
    snprintf(about->swap_state, sizeof about->swap_state, "%.*s", VIEW_PRINT(state));
}

static enum err_kind read_save(struct reading *reading, struct mongo *mongo, const char *name,
                               const bson_t *valid, struct log_reader *reader, struct err *err)
{
    struct bson_reader *bson = &reading->reader;
    int64_t parts = bson_read_int64(bson, valid, "parts", 0, INT32_MAX);
    int64_t partitions = bson_read_int64(bson, valid, "partitions", 1, INT32_MAX);
    enum err_kind kind = bson->kind;

    if (kind == ERR_OK && (bson_read_int64(bson, valid, "format", 0, INT32_MAX) != FORMAT ||
                           partitions != reader->partitions))
        return err_set(err, ERR_REJECT,
                       "the shadow of inventory was begun by another version of it: begin again "
                       "with --fresh");
    if (kind == ERR_OK)
        kind = mongo_read(mongo, name, PER_REPLY, read_part, reading, err);
    if (kind == ERR_OK && reading->parts != parts)
        return err_set(err, ERR_RETRY, "%s: %" PRId64 " parts are there, want %" PRId64, name,
                       reading->parts, parts);
    read_position(reading, reader, valid);
    return kind == ERR_OK ? bson->kind : kind;
}

enum err_kind tally_load(bool *found, struct mongo *mongo, struct tally *tally,
                         struct log_reader *reader, struct tally_about *about, struct arena *arena,
                         enum err_kind (*counts)(void *context, const struct tally_about *about,
                                                 bool *yes, struct err *err),
                         void *context, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    struct reading reading = {.lines = {tally, about, arena}};
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    reading.reader = (struct bson_reader){.what = "the shadow of inventory", .err = err};
    *found = false;
    for (size_t i = count; kind == ERR_OK && i-- > 0 && !*found;) {
        AUTO(bson_destroy) bson_t *valid = NULL;

        kind = mongo_find(mongo, names[i], VALID, &valid, err);
        if (kind != ERR_OK || valid == NULL)
            continue;
        read_about(about, &reading.reader, valid);
        *found = true;
        kind = reading.reader.kind;
        if (kind == ERR_OK && counts != NULL)
            kind = counts(context, about, found, err);
        if (kind == ERR_OK && *found)
            kind = read_save(&reading, mongo, names[i], valid, reader, err);
    }
    return kind;
}
