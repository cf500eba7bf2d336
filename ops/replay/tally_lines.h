/* A tally as lines of text, for where it is kept: in a database beside the ledger's
 * (tally_file.h), in a file (stock_snapshot.h). */
#ifndef TRADEWIND_REPLAY_TALLY_LINES_H
#define TRADEWIND_REPLAY_TALLY_LINES_H

#include "ops/replay/tally.h"

/* What is kept with a tally. */
struct tally_about {
    uint64_t unreadable; /* records that are no events */
    char example[300];   /* of them */
    /* Orders of which an input is set aside by the part, or was: their state was made anew without
     * it. */
    struct view *aside_keys;
    size_t aside_count;
    /* Of what a swap has put away: the document that did it, and the state it put in place. The
     * state was put away only if that document stands. */
    uint64_t swap_number;
    char swap_state[64];
};

/** Hand on all there is, about a MiB of lines at a time, each time of one kind: what. */
enum err_kind tally_lines_write(const struct tally *tally, const struct tally_about *about,
                                enum err_kind (*each)(void *context, const char *what,
                                                      struct view lines, struct err *err),
                                void *context, struct err *err);

/* Where lines are read into. */
struct tally_lines {
    struct tally *tally;
    struct tally_about *about; /* free aside_keys */
    struct arena *arena;
};

/** Is what a kind of lines? */
bool tally_lines_have(const char *what);
/** Take one line in; false: it does not say what a line of its kind says. */
bool tally_lines_read(struct tally_lines *lines, const char *what, struct view line);

#endif
