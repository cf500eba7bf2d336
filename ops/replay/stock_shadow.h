/* Inventory's stock made from the topics, beside the ledger: a tally in memory, as the part itself
 * keeps its stock, saved to a database of its own now and then and at the end, so that a replay
 * that was killed goes on where it stood. */
#ifndef TRADEWIND_REPLAY_STOCK_SHADOW_H
#define TRADEWIND_REPLAY_STOCK_SHADOW_H

#include "ops/replay/key_events.h"
#include "ops/replay/tally_file.h"

/* What is beside the ledger's database, by its name. */
#define STOCK_SHADOW "_replay_shadow"
#define STOCK_OLD "_replay_old"

struct stock_shadow {
    struct mongo *mongo;
    const struct schema_ids *ids;
    struct log_reader reader; /* its places are the shadow's position */
    struct tally tally;
    struct tally_about about;
    struct arena arena, record_arena;
    bool is_moved; /* since it was saved */
    int64_t saved_ms;
    uint64_t folded; /* events since it was opened */
    /* Called about ten times a second while it is moved; what it returns ends the move. */
    enum err_kind (*progress)(void *context, const struct stock_shadow *shadow, struct err *err);
    void *context;
};

struct stock_shadow_options {
    const char *uri;  /* of the ledger's database */
    const char *name; /* STOCK_SHADOW or STOCK_OLD */
    const char *brokers;
    const struct schema_ids *ids;
    int32_t partitions;
    int64_t rate;
};

enum err_kind stock_shadow_open(struct stock_shadow *shadow,
                                const struct stock_shadow_options *options, struct err *err);
void stock_shadow_close(struct stock_shadow *shadow);

/** Read what was saved, as tally_load; found: false when nothing was, and it begins empty. */
enum err_kind stock_shadow_load(struct stock_shadow *shadow, bool *found,
                                enum err_kind (*counts)(void *context,
                                                        const struct tally_about *about, bool *yes,
                                                        struct err *err),
                                void *context, struct err *err);
/** Move it to where its reader's places shall end, and save it. */
enum err_kind stock_shadow_move(struct stock_shadow *shadow, struct err *err);

/**
 * Make the state of these orders anew at its position, without the inputs that the part has set
 * aside now. Those that were made anew before are too: what was set aside then may not be any more.
 */
enum err_kind stock_shadow_set_aside(struct stock_shadow *shadow, const struct asides *asides,
                                     struct err *err);

/** Gives the URI of the database that has the ledger's name with name behind it: free. */
char *stock_database_beside(const char *uri, const char *name);

#endif
