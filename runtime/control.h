/* What parts say to each other out of band: shop.control.v1, one partition, kept an hour, no
 * numbers.
 *
 * Loss is harmless because all of it is said again each second:
 *     {"type":"published","source":"orders","instance":"orders-1","shards":{"0":12,"7":3}}
 *     {"type":"published","paused":true,...}   an operator has its part read nothing
 *     {"type":"nack","source":"orders","shard":7,"number":4,"from":"payment-1"} */
#ifndef TRADEWIND_RUNTIME_CONTROL_H
#define TRADEWIND_RUNTIME_CONTROL_H

#include "runtime/arena.h"
#include "runtime/err.h"

#define CONTROL_TOPIC "shop.control.v1"

enum control_type {
    CONTROL_PUBLISHED, /* the writer has published 1..number of each of its shards */
    CONTROL_NACK,      /* a reader misses number of shard */
    CONTROL_GONE,      /* the writer's journal begins above number: only an archive has it */
};

struct control {
    enum control_type type;
    struct view source; /* the writer: "orders" */
    struct view from;   /* who speaks: an instance */
    bool paused; /* CONTROL_PUBLISHED: an operator has it read nothing, so it answers nothing */
    /* CONTROL_PUBLISHED: one entry a shard; else one entry */
    const int32_t *shards;
    const uint64_t *numbers;
    size_t count;
};

void control_write(struct buf *out, const struct control *control);
/** Errors ERR_REJECT: not one of ours. Everything in *out lives in arena or text. */
enum err_kind control_parse(struct control *out, struct view text, struct arena *arena,
                            struct err *err);

#endif
