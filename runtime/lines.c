#include "runtime/lines.h"

#include <inttypes.h>

void line_text(struct buf *lines, struct view text)
{
    buf_append_view(lines, text);
    buf_append_byte(lines, '\t');
}

void line_int64(struct buf *lines, int64_t value)
{
    buf_printf(lines, "%" PRId64 "\t", value);
}

void line_end(struct buf *lines)
{
    lines->data[lines->size - 1] = '\n';
}

static size_t count_of(struct view text, char wanted)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == wanted;
    return count;
}

/* Up to the separator, which is taken too; false: there is none. */
static bool take_until(struct view *rest, char separator, struct view *part)
{
    const char *end = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;

    if (end == NULL)
        return false;
    *part = view_of(rest->data, (size_t)(end - rest->data));
    *rest = view_of(end + 1, rest->size - part->size - 1);
    return true;
}

size_t lines_count(struct view lines)
{
    return count_of(lines, '\n');
}

bool lines_next(struct view *lines, struct view *line)
{
    return take_until(lines, '\n', line);
}

size_t line_count(struct view line)
{
    return line.size > 0 ? count_of(line, '\t') + 1 : 0;
}

struct view line_next_text(struct view *line)
{
    struct view field;

    if (!take_until(line, '\t', &field)) {
        field = *line;
        *line = view_of(line->data + line->size, 0);
    }
    return field;
}

bool line_next_int64(struct view *line, int64_t *out)
{
    return view_to_int64(line_next_text(line), out);
}
