/* Who waits for whom when partitions are read abreast in time. What is begun in one topic and ended
 * in another is then only ever so much, however much there is to read: a place that has read a lead
 * of records all later than what the slowest stands at waits until the slowest has come there.
 *
 * Only who waits is told by the records' times. Where they are equal, out of order or made up, more
 * is begun at once and nothing is wrong. The slowest never waits, so there is always one that goes
 * on. Pure: no I/O, no clock. */
#ifndef TRADEWIND_REPLAY_ABREAST_H
#define TRADEWIND_REPLAY_ABREAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct abreast_place {
    int64_t time_ms; /* of the latest record that was read */
    int64_t mark_ms; /* the same when it was last looked at and did not wait */
    size_t since;    /* records read since then */
    bool has_more;   /* as far as is known: nobody waits for one that has no more */
    bool waits;
    bool is_changed; /* whether it waits, by the last look */
};

struct abreast {
    struct abreast_place *places;
    size_t count; /* 0: they are read as they come */
    size_t lead;  /* records; no place is more than twice as far ahead of the slowest */
    bool is_due;  /* a look */
};

void abreast_init(struct abreast *abreast, size_t count, size_t lead);
void abreast_clear(struct abreast *abreast);

/** They are read from here on; none waits. */
void abreast_start(struct abreast *abreast);
/** A record of this place was read. */
void abreast_read(struct abreast *abreast, size_t place, int64_t time_ms);
/** It was read to its end, for now or for good. */
void abreast_at_end(struct abreast *abreast, size_t place);
/** Decide who waits from now on, when that is due or nothing came. True: of some place it
 * is_changed. */
bool abreast_look(struct abreast *abreast, bool nothing_came);

#endif
