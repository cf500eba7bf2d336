/* Whether live state and shadow are equal, range by range, each range at a position common to both:
 * a short snapshot of the live side says rows and position, the shadow is moved up to it, a
 * checksum of either side is compared. Where they differ, the range is halved until the rows can be
 * named. */
#ifndef TRADEWIND_REPLAY_COMPARE_H
#define TRADEWIND_REPLAY_COMPARE_H

#include "ops/replay/cells.h"
#include "ops/replay/live.h"

#define COMPARE_EXAMPLES 20

/* What was found out about one table. */
struct table_result {
    const struct fold_table *table;
    uint64_t rows; /* live */
    uint64_t ranges;
    uint64_t differing; /* rows */
};

struct difference {
    const struct fold_table *table;
    const char *row;
    const char *column;        /* NULL: the row is on one side only */
    const char *live, *shadow; /* NULL: not there, or null */
    const struct key_event
        *event; /* that gives the field its value by the topics; NULL: none does */
};

struct compare {
    struct shadow *shadow;
    struct live *live;
    const char *database;
    struct table_result *tables;
    struct difference *differences; /* of the first rows that differ */
    size_t difference_count;
    uint64_t differing; /* rows, of all tables */
    struct view *keys;  /* of those rows, up to COMPARE_EXAMPLES */
    const struct fold_table **key_tables;
    const char **key_rows;
    size_t key_count;
    struct arena arena;
    void (*progress)(void *context, const struct compare *compare);
    void *context;
};

enum err_kind compare_run(struct compare *compare, struct err *err);
void compare_clear(struct compare *compare);

#endif
