#include "ops/replay/stock_snapshot.h"

#include "ops/replay/snapshot_file.h"
#include "runtime/lines.h"

#define ABOUT "about"
#define MADE_BY "tally 1" /* raise it when the lines of a tally change */

static const struct snapshot_of OF = {"inventory", MADE_BY};

/* --- Saving ----------------------------------------------------------------------------------- */

/* A heading with their number, then the lines: a SKU may have any name. */
static enum err_kind save_lines(void *context, const char *what, struct view lines, struct err *err)
{
    struct snapshot_writer *writer = context;
    AUTO(buf_clear) struct buf heading = {0};
    enum err_kind kind;

    buf_printf(&heading, "%s\t%zu", what, lines_count(lines));
    kind = snapshot_put(writer, buf_view(&heading), err);
    lines.size--; /* the last newline is written behind it */
    return kind == ERR_OK ? snapshot_put(writer, lines, err) : kind;
}

/* Records that cannot be read forbid a swap, whoever has read them. */
static enum err_kind save_about(struct snapshot_writer *writer, const struct tally_about *about,
                                struct err *err)
{
    AUTO(buf_clear) struct buf line = {0};

    buf_printf(&line, ABOUT "\t%" PRIu64 "\t%s", about->unreadable, about->example);
    for (size_t i = sizeof ABOUT; i < line.size; i++)
        if ((unsigned char)line.data[i] < ' ' && line.data[i] != '\t')
            line.data[i] = ' ';
    return snapshot_put(writer, buf_view(&line), err);
}

enum err_kind stock_snapshot_save(struct stock_shadow *shadow, const char *path, struct err *err)
{
    struct snapshot_writer writer;
    enum err_kind kind = snapshot_create(&writer, path, &OF, &shadow->reader, err);

    if (kind == ERR_OK)
        kind = save_about(&writer, &shadow->about, err);
    if (kind == ERR_OK)
        kind = tally_lines_write(&shadow->tally, &shadow->about, save_lines, &writer, err);
    if (kind == ERR_OK)
        kind = snapshot_finish(&writer, err);
    snapshot_writer_clear(&writer);
    return kind;
}

/* --- Loading ---------------------------------------------------------------------------------- */

static bool load_about(struct tally_about *about, struct view line)
{
    int64_t unreadable;
    struct view example;

    if (!view_equals(line_next_text(&line), ABOUT) || !line_next_int64(&line, &unreadable))
        return false;
    example = line;
    about->unreadable = (uint64_t)unreadable;
    snprintf(about->example, sizeof about->example, "%.*s", VIEW_PRINT(example));
    return true;
}

static enum err_kind load_lines(struct tally_lines *into, struct snapshot_reader *snapshot,
                                struct view heading, struct err *err)
{
    struct view line = heading;
    const char *what = arena_view(into->arena, line_next_text(&line)).data;
    int64_t count;

    if (!tally_lines_have(what) || !line_next_int64(&line, &count))
        return snapshot_refuse(snapshot, heading, err);
    for (int64_t i = 0; i < count; i++)
        if (!snapshot_next(snapshot, &line) || !tally_lines_read(into, what, line))
            return snapshot_refuse(snapshot, line, err);
    return ERR_OK;
}

enum err_kind stock_snapshot_load(struct stock_shadow *shadow, const char *path, bool dry,
                                  struct err *err)
{
    struct tally_lines into = {&shadow->tally, &shadow->about, &shadow->arena};
    struct snapshot_reader snapshot;
    struct view line;
    enum err_kind kind = snapshot_open(&snapshot, path, &OF, &shadow->reader, err);

    if (kind == ERR_OK && !dry && snapshot_next(&snapshot, &line) &&
        !load_about(&shadow->about, line))
        kind = snapshot_refuse(&snapshot, line, err);
    while (kind == ERR_OK && !dry && snapshot_next(&snapshot, &line))
        kind = load_lines(&into, &snapshot, line, err);
    if (kind == ERR_OK && !dry)
        kind = snapshot_is_read(&snapshot, err);
    snapshot_close(&snapshot);
    shadow->is_moved = kind == ERR_OK && !dry;
    return kind;
}
