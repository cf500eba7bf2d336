/* The live side of a replay: what the part's own tables hold, and at which position.
 *
 * A position is a vector: of each shard, the last number the part gave out itself and the last it
 * has applied of each input. It is read in one snapshot with whatever rows are looked at. */
#ifndef TRADEWIND_REPLAY_LIVE_H
#define TRADEWIND_REPLAY_LIVE_H

#include "ops/replay/shadow.h"

struct live {
    const struct fold *fold;
    struct pg *pg;
    const struct log_reader *reader; /* names the places of the vector */
    uint64_t *vector;                /* by place, as of the last snapshot */
    struct asides dropped;           /* inputs that an operator dropped: who opens it fills it in */
    struct asides asides;            /* its dead letters as of the last snapshot, and those */
};

enum err_kind live_open(struct live *live, const struct fold *fold, const char *database,
                        const struct log_reader *reader, struct err *err);
void live_close(struct live *live);

/** ERR_OK: *has_tables says whether the part has ever migrated this database. */
enum err_kind live_has_tables(struct live *live, bool *has_tables, struct err *err);

/** Begin a snapshot and read its position and what is set aside. */
enum err_kind live_begin(struct live *live, struct err *err);
enum err_kind live_end(struct live *live, struct err *err);
/** The same behind what is queued in its session. */
void live_queue_end(struct live *live);
/** The same without a transaction of its own: inside one that holds the part's locks. */
enum err_kind live_read(struct live *live, struct err *err);

/**
 * Bring the shadow to the position of the last snapshot, and set aside what it sets aside.
 * Errors  ERR_REJECT: the shadow is ahead of it, and how; or a number is not in the log
 */
enum err_kind live_follow(const struct live *live, struct shadow *shadow, struct err *err);

/** From now on the shadow sets aside what the live part did at the last snapshot. */
enum err_kind live_share_asides(const struct live *live, struct shadow *shadow, struct err *err);

/** The database is older than the part's topic (restored, lost), or nothing ever came into it. */
bool live_is_lost(const struct live *live, const struct shadow *shadow);

/** The first place where the vector is behind the shadow; NULL: nowhere. */
const struct log_place *live_is_behind(const struct live *live, const struct shadow *shadow);

#endif
