/* JSON in and out.
 *
 * In: strict (RFC 8259, UTF-8, no duplicate keys, depth and size bounded), through yajl's SAX
 * interface into a tree in an arena. Numbers keep their text: our own integer grammar decides.
 * Out: a writer that puts commas and escapes where they belong. */
#ifndef TRADEWIND_RUNTIME_JSON_H
#define TRADEWIND_RUNTIME_JSON_H

#include "runtime/arena.h"
#include "runtime/err.h"

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    enum json_kind kind;
    bool boolean;
    struct view text;   /* string: unescaped; number: as written */
    struct view name;   /* as a member of an object */
    size_t count;       /* members or elements */
    struct json *items; /* array of count: members in the order they were written */
    const struct json *parent;
};

#define JSON_DEPTH_MAX 16
#define JSON_DEEP_MAX 128

/**
 * Parse one document. The tree lives in the arena and may point into text.
 * Errors  ERR_REJECT: what is wrong, at which byte (not JSON, depth, duplicate key, bad UTF-8)
 */
enum err_kind json_parse(struct json **out, struct view text, struct arena *arena, struct err *err);
/** The same for documents that nest deeper than requests: JSON_DEEP_MAX levels. */
enum err_kind json_parse_deep(struct json **out, struct view text, struct arena *arena,
                              struct err *err);
/** The same as json_parse for text from outside: a value costs 64 bytes of memory and as few as 2
 * of text. */
enum err_kind json_parse_bounded(struct json **out, struct view text, size_t values_max,
                                 struct arena *arena, struct err *err);

/** Member by name, or NULL (also when value is no object). */
const struct json *json_member(const struct json *object, const char *name);
/** RFC 6901 pointer of a node, or of a member that it lacks (NULL: of the node): /lines/0/quantity.
 * Written into the arena. */
struct view json_pointer(const struct json *node, const char *member, struct arena *arena);
/** An integer by our grammar: no fraction, no exponent, no leading zero, within int64. */
bool json_to_int64(const struct json *node, int64_t *out);
const char *json_kind_name(enum json_kind kind); /* "a string", "an object", ... */

/* --- Reading a document of a known shape ---------------------------------------------------
 * A reader collects the first mistake with its pointer; later reads give zero values.
 *
 *     struct json_reader reader = {.arena = arena};
 *     json_only(&reader, root, (const char *const[]){"sku", "quantity", NULL});
 *     line.sku = json_read_text(&reader, root, "sku", 1, 64);
 *     line.quantity = json_read_int64(&reader, root, "quantity", 1, 1000000000);
 *     if (reader.failed) reply 422 with reader.pointer and reader.err.text */
struct json_reader {
    struct arena *arena;
    bool failed;
    struct view pointer; /* of the node that is wrong (or of the missing member) */
    struct err err;
};

/** Fails unless object is an object whose members are all in names (NULL-terminated). */
bool json_only(struct json_reader *reader, const struct json *object, const char *const *names);
/** Required text of min..max bytes, no control characters (U+0000 to U+001F, U+007F). */
struct view json_read_text(struct json_reader *reader, const struct json *object, const char *name,
                           size_t min, size_t max);
/** The same, VIEW_NONE when the member is missing or null. */
struct view json_read_text_optional(struct json_reader *reader, const struct json *object,
                                    const char *name, size_t min, size_t max);
int64_t json_read_int64(struct json_reader *reader, const struct json *object, const char *name,
                        int64_t min, int64_t max);
int64_t json_read_int64_optional(struct json_reader *reader, const struct json *object,
                                 const char *name, int64_t min, int64_t max, int64_t fallback);
bool json_read_bool_optional(struct json_reader *reader, const struct json *object,
                             const char *name, bool fallback);
/** Required array of min..max elements; NULL after a failure. */
const struct json *json_read_array(struct json_reader *reader, const struct json *object,
                                   const char *name, size_t min, size_t max);
const struct json *json_read_object(struct json_reader *reader, const struct json *object,
                                    const char *name);
/** Say yourself what is wrong with node. */
void json_fail(struct json_reader *reader, const struct json *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- Writing -------------------------------------------------------------------------------- */
struct json_writer {
    struct buf *out; /* borrows */
    int depth;
    bool need_comma;
};

void json_object_start(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_start(struct json_writer *writer);
void json_array_end(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *name);
void json_put_text(struct json_writer *writer,
                   struct view text); /* VIEW_NONE writes null; bad UTF-8 becomes U+FFFD */
void json_put_str(struct json_writer *writer, const char *text);
void json_put_int64(struct json_writer *writer, int64_t value);
void json_put_double(struct json_writer *writer, double value);
void json_put_bool(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
void json_put_time_us(struct json_writer *writer, int64_t utc_us); /* RFC 3339 */
void json_put_base64(struct json_writer *writer, struct view bytes);
void json_put_raw(struct json_writer *writer, struct view json);         /* already JSON */
void json_put_tree(struct json_writer *writer, const struct json *tree); /* what json_parse gave */

/* key and value in one call */
void json_member_text(struct json_writer *writer, const char *name, struct view text);
void json_member_str(struct json_writer *writer, const char *name, const char *text);
void json_member_int64(struct json_writer *writer, const char *name, int64_t value);
void json_member_bool(struct json_writer *writer, const char *name, bool value);
void json_member_time_us(struct json_writer *writer, const char *name, int64_t utc_us);

#endif
