/* schemas/ids.lock: every version of every schema that was ever written with, and its id for ever.
 *
 *     {"schemas": [
 *       {"id": 1, "type": "order.created", "version": 1,
 *        "subject": "shop.orders.v1-shop.orders.OrderCreated",
 *        "fingerprint": "<SHA-256 of the Parsing Canonical Form>",
 *        "file": "history/order.created/1.avsc"}, ...]}
 *
 * `avro-compile lock` writes it; a program reads it when it starts and when it meets an unknown id.
 */
#ifndef TRADEWIND_EVENTS_LOCK_FILE_H
#define TRADEWIND_EVENTS_LOCK_FILE_H

#include "events/schema.h"

struct lock_row {
    int32_t id;       /* 1 and more, each once */
    struct view type; /* of the event */
    int32_t version;  /* of the type: 1, 2, 3 ... in the order of rows */
    struct view subject;
    struct view fingerprint;
    struct view file; /* below the schemas folder */
};

struct lock_file {
    struct lock_row *rows;
    size_t count;
};

/** Errors  ERR_STOP: missing, malformed (names the row), an id twice, versions with a hole. */
enum err_kind lock_file_read(struct lock_file *out, const char *folder, struct arena *arena,
                             struct err *err);

enum err_kind lock_file_write(const struct lock_file *lock, const char *folder, struct err *err);

/** The text of a row's schema. Errors  ERR_STOP: the file is missing. */
enum err_kind lock_file_text(struct view *out, const struct lock_row *row, const char *folder,
                             struct arena *arena, struct err *err);

/** The schema of a row, out of its file. Errors  ERR_STOP: missing, malformed, another fingerprint.
 */
enum err_kind lock_file_schema(const struct schema **out, const struct lock_row *row,
                               const char *folder, struct arena *arena, struct err *err);

#endif
