/* The relay: publishes what a part has committed, in number order, and looks at its own log.
 *
 * Go-back-N per shard (runtime/delivery.h). A shard is relayed by the owner of that partition in
 * the group PART.relay on the part's own topic; nothing is consumed there. The worker offers each
 * record after its commit; what it does not offer in order, the relay reads from the journal.
 *
 * Beside its own topic a part may write into one that it shares with others: one more shard, whose
 * number is the count of partitions. It lies in one partition of the shared topic and is told from
 * what others write there by its source. Who relays the first shard relays it.
 *
 * One thread of its own; all functions may be called from any thread. */
#ifndef TRADEWIND_RUNTIME_RELAY_H
#define TRADEWIND_RUNTIME_RELAY_H

#include "runtime/control.h"
#include "runtime/store.h"

struct relay;

struct relay_options {
    const char *brokers;
    const char *part;     /* "orders": the group is orders.relay, the source in control records */
    const char *instance; /* "orders-1" */
    const char *topic;    /* the part's own; NULL: it publishes nothing, but asks (NACK) and copies
                             dead letters */
    int32_t partitions;
    const char *shared_topic;
    int32_t shared_partition;
    const char *shared_source; /* its name there: "ops/orders" */
    bool follows_lead;         /* relays all shards while relay_lead says so, instead of by group */
    int64_t upkeep_ms;         /* between two times that the store is maintained; 0: a minute */
    struct store *store;
    /* Called on the relay's thread when it cannot go on (the database is older than the topic). */
    void (*stop)(void *context, const struct err *err);
    void *context;
};

/** gives *out (relay_stop). Errors ERR_STOP */
enum err_kind relay_start(struct relay **out, const struct relay_options *options, struct err *err);
/** Waits until what was committed is published or grace_ms is over; frees. */
void relay_stop(struct relay *relay, int64_t grace_ms);

/** These records were just committed. Copies what it can send now; the rest waits in the journal.
 */
void relay_offer(struct relay *relay, const struct journal_record *records, size_t count);
/** Only with follows_lead: this instance leads now, or no longer. */
void relay_lead(struct relay *relay, bool leads);

/** The part reads nothing, by an operator's wish: say so on the control topic. */
void relay_pause(struct relay *relay, bool paused);

/** Shards relayed here that may be sent to (not in doubt first); fills up to the partition count.
 */
size_t relay_shards(struct relay *relay, int32_t *shards);
/** Highest number acknowledged with all below it; 0: not relayed here. */
uint64_t relay_published(struct relay *relay, int32_t shard);
/** Say on the control topic, as this instance, what type says of a number of source's shard. */
void relay_say_number(struct relay *relay, enum control_type type, const char *source,
                      int32_t shard, uint64_t number);
/** True while the broker answers. */
bool relay_is_connected(struct relay *relay);

#endif
