/* What the command line prints for people: tables whose columns line up, numbers with separators,
 * and colour where a terminal shows it. */
#ifndef TRADEWIND_OPS_OUT_H
#define TRADEWIND_OPS_OUT_H

#include "runtime/arena.h"

#include <stdio.h>

enum out_colour {
    OUT_PLAIN,
    OUT_BOLD,
    OUT_DIM,
    OUT_RED,
    OUT_GREEN,
    OUT_YELLOW,
    OUT_BLUE,
    OUT_MAGENTA,
    OUT_CYAN
};

/** True when stdout is a terminal that wants colour (NO_COLOR is not set, TERM is not dumb). */
bool out_is_colourful(void);
/** The sequence that switches to a colour, or "" when there are no colours here. OUT_PLAIN ends
 * one. */
const char *out_colour(enum out_colour colour);

/* A table is filled cell by cell, row by row, and printed at once. */
struct out_table {
    const char *const *columns; /* headings; one that starts with '>' is set right */
    size_t column_count;
    struct out_cell *cells;
    size_t cell_count, capacity;
    struct arena *arena;
};

/** columns is NULL-terminated and outlives the table. */
void out_table_start(struct out_table *table, const char *const *columns, struct arena *arena);
void out_cell(struct out_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void out_cell_in(struct out_table *table, enum out_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Two spaces before each line. */
void out_table_print(const struct out_table *table, FILE *file);
/** The same into a buffer, and how many lines that was. */
size_t out_table_write(const struct out_table *table, struct buf *out);

/** 1234567 as "1,234,567". Lives in the arena. */
const char *out_count(struct arena *arena, int64_t number);
/** Minor units as "180,316.18"; decimals by the currency (JPY has none). */
const char *out_money(struct arena *arena, int64_t minor, const char *currency);
/** 0.000123 s as "123 us", 1.5 s as "1.5 s". */
const char *out_duration_us(struct arena *arena, int64_t us);
/** Columns that UTF-8 text takes on a terminal, each character taken for one. */
size_t out_width(const char *text);

#endif
