/* The parts as docker/compose.yaml lists them: the build makes this table from that file, so that a
 * new part is known here without another line. */
#ifndef TRADEWIND_OPS_PARTS_H
#define TRADEWIND_OPS_PARTS_H

#include <stdbool.h>
#include <stddef.h>

struct ops_part {
    const char *name;         /* also its consumer group, database and role */
    bool has_database;        /* in PostgreSQL */
    const char *const *reads; /* topics it consumes, NULL-terminated */
};

extern const struct ops_part ops_parts[];
extern const size_t ops_part_count;

/** NULL: there is no such part. */
const struct ops_part *ops_part_find(const char *name);

/** The names of all parts for a message: "orders, catalog, ...". */
const char *ops_part_names(void);

#endif
