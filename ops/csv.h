/* Comma separated values as RFC 4180 writes them, read strictly: what is not so is refused with its
 * line.
 *
 * UTF-8 text, a field in quotes may hold commas, line ends and doubled quotes; lines end in LF or
 * CRLF, the last one may lack it. Every record has as many fields as the first. */
#ifndef TRADEWIND_OPS_CSV_H
#define TRADEWIND_OPS_CSV_H

#include "runtime/arena.h"
#include "runtime/err.h"

#define CSV_FIELDS_MAX 64

struct csv {
    struct view rest;
    size_t line;         /* of the next record, from 1 */
    size_t field_count;  /* of the first record; 0 before it is read */
    struct arena *arena; /* fields that had doubled quotes are written anew */
};

struct csv_record {
    size_t line; /* where it begins */
    size_t field_count;
    struct view fields[CSV_FIELDS_MAX]; /* views into the text or the arena */
};

/**
 * Begin to read text.
 * Errors  ERR_REJECT: empty, or not UTF-8 text
 */
enum err_kind csv_start(struct csv *csv, struct view text, struct arena *arena, struct err *err);

/**
 * The next record; *more is false after the last.
 * Errors  ERR_REJECT: the line and what is wrong there
 */
enum err_kind csv_next(struct csv *csv, struct csv_record *out, bool *more, struct err *err);

/** Position of a column in the header record, or -1. */
int csv_column(const struct csv_record *header, const char *name);

#endif
