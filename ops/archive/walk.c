/* Reading an archive's records back: nothing is believed that the manifest does not say as well. */
#include "ops/archive/archive.h"

#include <inttypes.h>

#define SAY_EVERY 1024

void archive_walk_start(struct archive_walk *walk, const struct archive *archive,
                        const struct archive_place *place)
{
    *walk = (struct archive_walk){.archive = archive, .place = place};
    archive_count_start(&walk->count, place->topic, place->partition);
}

void archive_walk_clear(struct archive_walk *walk)
{
    container_close(&walk->reader);
    archive_count_clear(&walk->count);
    arena_clear(&walk->arena);
}

static enum err_kind open_file(struct archive_walk *walk, struct err *err)
{
    const struct archive_file *file = &walk->place->files[walk->file];
    const struct container_head head = archive_head(walk->place, &walk->count.link);

    walk->file_records = 0;
    return container_open(&walk->reader, archive_path(&walk->arena, walk->archive, file->name),
                          &head, file->bytes, err);
}

static enum err_kind end_file(struct archive_walk *walk, struct err *err)
{
    const struct archive_file *file = &walk->place->files[walk->file];
    bool same = walk->file_records == file->records &&
                walk->count.last_offset == file->last_offset &&
                archive_link_equal(&walk->count.link, &file->link);

    container_close(&walk->reader);
    if (!same)
        return err_set(err, ERR_REJECT,
                       "%s/%s is damaged: its records are not those of the manifest",
                       walk->archive->folder, file->name);
    walk->file++;
    return ERR_OK;
}

static bool same_numbers(const struct archive_count *a, const struct archive_count *b)
{
    if (a->number_count != b->number_count)
        return false;
    for (size_t i = 0; i < a->number_count; i++)
        if (!view_equal(a->numbers[i].source, b->numbers[i].source) ||
            a->numbers[i].shard != b->numbers[i].shard ||
            a->numbers[i].first != b->numbers[i].first ||
            a->numbers[i].last != b->numbers[i].last ||
            a->numbers[i].records != b->numbers[i].records)
            return false;
    return true;
}

static enum err_kind end_place(struct archive_walk *walk, struct err *err)
{
    const struct archive_count *is = &walk->count, *want = &walk->place->count;

    if (is->records != want->records || is->first_offset != want->first_offset ||
        is->last_offset != want->last_offset || !archive_link_equal(&is->link, &want->link) ||
        !archive_link_equal(&is->before, &want->before) || !same_numbers(is, want))
        return err_set(err, ERR_REJECT,
                       "%s/" ARCHIVE_MANIFEST ": what it says of %s/%" PRId32
                       " is not what its files hold",
                       walk->archive->folder, walk->place->topic, walk->place->partition);
    return ERR_OK;
}

static enum err_kind take_record(struct archive_walk *walk, const struct archived *record,
                                 struct err *err)
{
    const struct archive_file *file = &walk->place->files[walk->file];
    struct err why;

    if (walk->file_records++ == 0 && record->offset != file->first_offset)
        return err_set(err, ERR_REJECT, "%s/%s is damaged: it begins with another record",
                       walk->archive->folder, file->name);
    if (archive_count_add(&walk->count, record, walk->place->topic, &walk->arena, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "%s/%s is damaged: %s", walk->archive->folder, file->name,
                       why.text);
    return ERR_OK;
}

enum err_kind archive_walk_next(struct archive_walk *walk, struct archived *out, bool *end,
                                struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (;;) {
        *end = walk->file == walk->place->file_count;
        if (*end)
            return end_place(walk, err);
        if (walk->reader.file == NULL)
            kind = open_file(walk, err);
        if (kind == ERR_OK)
            kind = container_next(&walk->reader, out, end, err);
        if (kind != ERR_OK)
            return kind;
        if (!*end)
            break;
        kind = end_file(walk, err);
        if (kind != ERR_OK)
            return kind;
    }
    return take_record(walk, out, err);
}

static enum err_kind verify_place(const struct archive *archive, const struct archive_place *place,
                                  int64_t *records, void (*each)(void *context, int64_t records),
                                  void *context, struct err *err)
{
    AUTO(archive_walk_clear) struct archive_walk walk;
    struct archived record;
    enum err_kind kind;
    bool end;

    archive_walk_start(&walk, archive, place);
    while ((kind = archive_walk_next(&walk, &record, &end, err)) == ERR_OK && !end)
        if (++*records % SAY_EVERY == 0)
            each(context, *records);
    return kind;
}

enum err_kind archive_verify(const struct archive *archive,
                             void (*each)(void *context, int64_t records), void *context,
                             struct err *err)
{
    enum err_kind kind = ERR_OK;
    int64_t records = 0;

    for (size_t i = 0; i < archive->place_count && kind == ERR_OK; i++)
        kind = verify_place(archive, &archive->places[i], &records, each, context, err);
    if (kind == ERR_OK)
        each(context, records);
    return kind;
}
