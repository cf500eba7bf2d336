#include "runtime/http_target.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* No control characters come out either: no id and no name has any, and a NUL would cut a C string.
 */
static bool decode(struct view *out, struct view text, bool plus_is_space, struct arena *arena)
{
    char *to = arena_alloc(arena, text.size + 1);
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        if (c == '%') {
            int high = text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
            int low = text.size - i > 2 ? hex_digit(text.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        to[size++] = c;
    }
    *out = view_of(to, size);
    return view_is_utf8(*out);
}

static bool parse_path(struct http_target *out, const char *path, struct arena *arena)
{
    if (path[0] != '/')
        return false;
    while (*path == '/') {
        size_t length = strcspn(++path, "/");

        if (out->segment_count == HTTP_SEGMENTS_MAX ||
            !decode(&out->segments[out->segment_count++], view_of(path, length), false, arena))
            return false;
        path += length;
    }
    return true;
}

static bool parse_query(struct http_target *out, const char *query, struct arena *arena)
{
    while (*query != '\0') {
        size_t length = strcspn(query, "&"), name = strcspn(query, "=&");
        size_t value = name < length ? name + 1 : length; /* where it starts */
        struct http_param *param = &out->query[out->query_count];

        if (length > 0) {
            if (out->query_count == HTTP_QUERY_MAX ||
                !decode(&param->name, view_of(query, name), true, arena) ||
                !decode(&param->value, view_of(query + value, length - value), true, arena))
                return false;
            out->query_count++;
        }
        query += length + (query[length] == '&');
    }
    return true;
}

bool http_target_parse(struct http_target *out, const char *path, const char *query,
                       struct arena *arena)
{
    out->segment_count = 0;
    out->query_count = 0;
    return parse_path(out, path, arena) && (query == NULL || parse_query(out, query, arena));
}

/* The next segment of a route's path; the path moves behind it. */
static struct view next_segment(const char **path)
{
    const char *start = *path + 1;
    size_t length = strcspn(start, "/");

    *path = start + length;
    return view_of(start, length);
}

static bool is_placeholder(struct view segment)
{
    return segment.size > 2 && segment.data[0] == '{' && segment.data[segment.size - 1] == '}';
}

bool http_target_matches(const struct http_target *target, const char *route_path)
{
    for (size_t i = 0; i < target->segment_count; i++) {
        struct view wanted;

        if (*route_path == '\0')
            return false;
        wanted = next_segment(&route_path);
        if (is_placeholder(wanted) ? target->segments[i].size == 0
                                   : !view_equal(wanted, target->segments[i]))
            return false;
    }
    return *route_path == '\0';
}

struct view http_target_param(const struct http_target *target, const char *route_path,
                              const char *name)
{
    for (size_t i = 0; i < target->segment_count && *route_path != '\0'; i++) {
        struct view segment = next_segment(&route_path);

        if (is_placeholder(segment) &&
            view_equals(view_of(segment.data + 1, segment.size - 2), name))
            return target->segments[i];
    }
    return VIEW_NONE;
}

struct view http_target_query(const struct http_target *target, const char *name)
{
    for (size_t i = 0; i < target->query_count; i++)
        if (view_equals(target->query[i].name, name))
            return target->query[i].value;
    return VIEW_NONE;
}
