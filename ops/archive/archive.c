#include "ops/archive/archive.h"

#include "runtime/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_BYTES_MAX (256u << 20)

/* --- Places ----------------------------------------------------------------------------------- */

struct archive_place *archive_find(const struct archive *archive, const char *topic,
                                   int32_t partition)
{
    for (size_t i = 0; i < archive->place_count; i++)
        if (archive->places[i].partition == partition &&
            strcmp(archive->places[i].topic, topic) == 0)
            return &archive->places[i];
    return NULL;
}

struct archive_place *archive_add_place(struct archive *archive, const char *topic,
                                        int32_t partition)
{
    struct archive_place *place;

    archive->places = mem_grow(archive->places, archive->place_count + 1, sizeof *archive->places);
    place = &archive->places[archive->place_count++];
    *place = (struct archive_place){.topic = arena_strdup(&archive->arena, topic),
                                    .partition = partition};
    archive_count_start(&place->count, topic, partition);
    return place;
}

int64_t archive_records(const struct archive *archive)
{
    int64_t records = 0;

    for (size_t i = 0; i < archive->place_count; i++)
        records += archive->places[i].count.records;
    return records;
}

const char *archive_path(struct arena *arena, const struct archive *archive, const char *name)
{
    return arena_printf(arena, "%s/%s", archive->folder, name).data;
}

/* --- The folder ------------------------------------------------------------------------------- */

static enum err_kind take_folder(struct archive *archive, bool make, struct err *err)
{
    if (make && mkdir(archive->folder, 0755) != 0 && errno != EEXIST)
        return err_set(err, ERR_STOP, "%s: %s", archive->folder, strerror(errno));
    archive->lock = open(archive->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (archive->lock < 0)
        return err_set(err, ERR_STOP, "%s: %s", archive->folder, strerror(errno));
    if (flock(archive->lock, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_STOP, "%s: another tradewind archive or restore works in it",
                       archive->folder);
    return ERR_OK;
}

/* What a run that was killed has left: a file that is not whole. */
static bool is_left_over(const char *name)
{
    const char *end = strstr(name, CONTAINER_PARTIAL);

    return (end != NULL && end[sizeof CONTAINER_PARTIAL - 1] == '\0') ||
           strncmp(name, ARCHIVE_MANIFEST ".", sizeof ARCHIVE_MANIFEST) == 0;
}

/* Take away what is left over; gives how much else there is. */
static enum err_kind sweep(struct archive *archive, size_t *others, struct err *err)
{
    DIR *folder = opendir(archive->folder);
    struct dirent *entry;

    if (folder == NULL)
        return err_set(err, ERR_STOP, "%s: %s", archive->folder, strerror(errno));
    *others = 0;
    while ((entry = readdir(folder)) != NULL) {
        if (is_left_over(entry->d_name))
            unlinkat(archive->lock, entry->d_name, 0);
        else
            *others += entry->d_name[0] != '.';
    }
    closedir(folder);
    return ERR_OK;
}

static enum err_kind load(struct archive *archive, bool make, struct err *err)
{
    const char *path = archive_path(&archive->arena, archive, ARCHIVE_MANIFEST);
    struct view text;
    size_t others = 0;
    enum err_kind kind;

    if (access(path, F_OK) == 0) {
        kind = file_read(&text, path, MANIFEST_BYTES_MAX, &archive->arena, err);
        if (kind == ERR_OK)
            kind = manifest_read(archive, text, err);
        return kind == ERR_OK && make ? sweep(archive, &others, err) : kind;
    }
    if (!make)
        return err_set(err, ERR_REJECT, "%s: there is no archive in it (no " ARCHIVE_MANIFEST ")",
                       archive->folder);
    kind = sweep(archive, &others, err);
    if (kind == ERR_OK && others > 0)
        kind =
            err_set(err, ERR_REJECT,
                    "%s: it is not empty, and there is no archive in it (no " ARCHIVE_MANIFEST ")",
                    archive->folder);
    return kind == ERR_OK ? archive_commit(archive, err) : kind;
}

enum err_kind archive_open(struct archive *archive, const char *folder, bool make, struct err *err)
{
    enum err_kind kind;

    *archive = (struct archive){.folder = folder, .lock = -1};
    kind = take_folder(archive, make, err);
    return kind == ERR_OK ? load(archive, make, err) : kind;
}

void archive_close(struct archive *archive)
{
    for (size_t i = 0; i < archive->place_count; i++) {
        archive_count_clear(&archive->places[i].count);
        free(archive->places[i].files);
    }
    free(archive->places);
    if (archive->lock >= 0)
        close(archive->lock);
    arena_clear(&archive->arena);
    *archive = (struct archive){.lock = -1};
}

static enum err_kind commit(struct archive *archive, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf text = {0};
    enum err_kind kind;

    manifest_write(&text, archive);
    /* The names of files come to the disk before the manifest that speaks of them. */
    if (fsync(archive->lock) != 0)
        return err_set(err, ERR_STOP, "%s: %s", archive->folder, strerror(errno));
    kind = file_write(archive_path(&arena, archive, ARCHIVE_MANIFEST), buf_view(&text), err);
    if (kind != ERR_OK)
        return kind;
    if (fsync(archive->lock) != 0)
        return err_set(err, ERR_STOP, "%s: %s", archive->folder, strerror(errno));
    memcpy(archive->seal, text.data + text.size - sizeof "\"}\n" + 1 - 2 * ARCHIVE_LINK_BYTES,
           2 * ARCHIVE_LINK_BYTES);
    return ERR_OK;
}

enum err_kind archive_commit(struct archive *archive, struct err *err)
{
    struct err why = {0};
    enum err_kind kind = commit(archive, &why);

    return kind == ERR_OK ? ERR_OK : err_set(err, kind, "%s" CONTAINER_GOES_ON, why.text);
}
