#include "ops/csv.h"

enum err_kind csv_start(struct csv *csv, struct view text, struct arena *arena, struct err *err)
{
    static const char bom[] = "\xef\xbb\xbf";

    if (text.size >= 3 && memcmp(text.data, bom, 3) == 0)
        text = view_of(text.data + 3, text.size - 3);
    if (text.size == 0)
        return err_set(err, ERR_REJECT, "it is empty");
    if (memchr(text.data, '\0', text.size) != NULL || !view_is_utf8(text))
        return err_set(err, ERR_REJECT, "it is not UTF-8 text");
    *csv = (struct csv){.rest = text, .line = 1, .arena = arena};
    return ERR_OK;
}

static void skip(struct csv *csv, size_t size)
{
    csv->rest = view_of(csv->rest.data + size, csv->rest.size - size);
}

static bool at(const struct csv *csv, char c)
{
    return csv->rest.size > 0 && csv->rest.data[0] == c;
}

/* What stands between the quotes, doubled ones made single. */
static struct view unquote(struct csv *csv, struct view raw, size_t doubled)
{
    char *out = arena_alloc(csv->arena, raw.size - doubled + 1);
    size_t size = 0;

    for (size_t i = 0; i < raw.size; i++) {
        out[size++] = raw.data[i];
        if (raw.data[i] == '"')
            i++;
    }
    return view_of(out, size);
}

static enum err_kind read_quoted(struct csv *csv, struct view *out, struct err *err)
{
    size_t opened = csv->line, doubled = 0, size = 0;
    const char *start;

    skip(csv, 1);
    start = csv->rest.data;
    for (;; size++) {
        if (size == csv->rest.size)
            return err_set(err, ERR_REJECT, "line %zu: a quote is opened and never closed", opened);
        csv->line += start[size] == '\n';
        if (start[size] != '"')
            continue;
        if (size + 1 == csv->rest.size || start[size + 1] != '"')
            break;
        size++;
        doubled++;
    }
    skip(csv, size + 1);
    *out = doubled > 0 ? unquote(csv, view_of(start, size), doubled) : view_of(start, size);
    if (csv->rest.size > 0 && !at(csv, ',') && !at(csv, '\n') && !at(csv, '\r'))
        return err_set(err, ERR_REJECT, "line %zu: '%c' stands behind a closing quote", csv->line,
                       csv->rest.data[0]);
    return ERR_OK;
}

static enum err_kind read_plain(struct csv *csv, struct view *out, struct err *err)
{
    size_t size = 0;

    while (size < csv->rest.size && strchr(",\r\n\"", csv->rest.data[size]) == NULL)
        size++;
    *out = view_of(csv->rest.data, size);
    skip(csv, size);
    if (at(csv, '"'))
        return err_set(err, ERR_REJECT, "line %zu: a quote inside a field that is not in quotes",
                       csv->line);
    return ERR_OK;
}

static enum err_kind end_record(struct csv *csv, struct err *err)
{
    if (at(csv, '\r')) {
        skip(csv, 1);
        if (!at(csv, '\n'))
            return err_set(err, ERR_REJECT, "line %zu: a carriage return without a line feed",
                           csv->line);
    }
    if (at(csv, '\n')) {
        skip(csv, 1);
        csv->line++;
    }
    return ERR_OK;
}

enum err_kind csv_next(struct csv *csv, struct csv_record *out, bool *more, struct err *err)
{
    enum err_kind kind;

    *more = csv->rest.size > 0;
    if (!*more)
        return ERR_OK;
    out->line = csv->line;
    out->field_count = 0;
    for (;;) {
        if (out->field_count == CSV_FIELDS_MAX)
            return err_set(err, ERR_REJECT, "line %zu: more than %d fields", out->line,
                           CSV_FIELDS_MAX);
        kind = at(csv, '"') ? read_quoted(csv, &out->fields[out->field_count], err)
                            : read_plain(csv, &out->fields[out->field_count], err);
        if (kind != ERR_OK)
            return kind;
        out->field_count++;
        if (!at(csv, ','))
            break;
        skip(csv, 1);
    }
    if ((kind = end_record(csv, err)) != ERR_OK)
        return kind;
    if (csv->field_count == 0)
        csv->field_count = out->field_count;
    if (out->field_count != csv->field_count)
        return err_set(err, ERR_REJECT, "line %zu: %zu fields, want %zu as in the first line",
                       out->line, out->field_count, csv->field_count);
    return ERR_OK;
}

int csv_column(const struct csv_record *header, const char *name)
{
    for (size_t i = 0; i < header->field_count; i++)
        if (view_equals(header->fields[i], name))
            return (int)i;
    return -1;
}
