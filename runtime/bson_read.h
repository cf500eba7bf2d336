/* Reading a BSON document of a known shape: the first mistake is kept with its place, later reads
 * give zero values. The twin of json_reader (runtime/json.h). */
#ifndef TRADEWIND_RUNTIME_BSON_READ_H
#define TRADEWIND_RUNTIME_BSON_READ_H

#include "runtime/bytes.h"
#include "runtime/err.h"

#include <bson/bson.h>

struct bson_reader {
    const char *what; /* "ledger document 00000000000000000042" */
    enum err_kind kind;
    struct err *err;
};

/** Say what is wrong, unless something was wrong before. */
void bson_fail(struct bson_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fields of a document, required. */
int64_t bson_read_int64(struct bson_reader *reader, const bson_t *document, const char *name,
                        int64_t min, int64_t max);
struct view bson_read_text(struct bson_reader *reader, const bson_t *document, const char *name,
                           size_t max);
/** Binary, or null: VIEW_NONE. */
struct view bson_read_binary(struct bson_reader *reader, const bson_t *document, const char *name);
bool bson_read_bool(struct bson_reader *reader, const bson_t *document, const char *name);

/* A required array: its elements one after the other, all of what the next read asks for. */
struct bson_list {
    struct bson_reader *reader;
    const char *name;
    bson_iter_t iter;
    size_t count; /* elements in all */
};

struct bson_list bson_read_array(struct bson_reader *reader, const bson_t *document,
                                 const char *name, size_t max_count);
int64_t bson_next_int64(struct bson_list *list, int64_t min, int64_t max);
struct view bson_next_text(struct bson_list *list, size_t max);
/** Fills *out (a view; no bson_destroy); an empty document after a mistake. */
void bson_next_document(struct bson_list *list, bson_t *out);

#endif
