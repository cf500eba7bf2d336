/* The history of an order, packed: a few bytes per event in the row that changes anyway, instead of
 * a row per event in a table of its own.
 *
 *     what (1 byte), writer of its cause (1), number (8), time (8), number of its cause (8)
 *
 * What is the state it led to (an event of our own; HISTORY_REMINDED: to none) or its bit of HEARD
 * (of others). Numbers and
 * times (UTC us) are big-endian. The order's shard, its warehouse and the writers' names complete
 * the ids of the events. All of it stands in the envelope of the event itself, so a replay makes
 * the same bytes. What is stored is by the numbers of saga/table.def and of enum history_writer,
 * which never change. */
#ifndef TRADEWIND_ORDERS_HISTORY_H
#define TRADEWIND_ORDERS_HISTORY_H

#include "events/event.h"
#include "runtime/arena.h"
#include "runtime/err.h"
#include "saga/order_progress.h"

/* What an order.reminded is stored as, beside the numbers of states. */
enum { HISTORY_REMINDED = 64 };

/* Who wrote a cause. */
enum history_writer {
    HISTORY_NOBODY = 0, /* a request or the clock */
    HISTORY_ORDERS = 1,
    HISTORY_INVENTORY = 2,
    HISTORY_PAYMENT = 3,
    HISTORY_FRAUD = 4,
};

struct history_entry {
    enum event_type type;
    uint64_t number; /* in the order's shard, of its writer */
    int64_t time_us;
    enum history_writer cause_writer;
    uint64_t cause_number;
};

enum history_writer history_writer_of(enum event_type type);

/** said with one more event of our own, which led to state. In the arena. entry's type is not read.
 */
struct view history_add_said(struct view said, enum saga_orders_state state,
                             const struct history_entry *entry, struct arena *arena);
/** said with one more order.reminded, which led to no state. */
struct view history_add_reminder(struct view said, const struct history_entry *entry,
                                 struct arena *arena);

/** seen with one more event that was heard. In the arena. */
struct view history_add_seen(struct view seen, const struct event *event, struct arena *arena);

/** Writer and number of a cause out of its ce_id ("payment/7/42"); nobody for VIEW_NONE or a
 * stranger. */
void history_set_cause(struct history_entry *entry, struct view cause_id);

/**
 * Both kinds as one history, in the order of time; an event never stands before its cause.
 *
 * *out    array in the arena; *count entries
 * Errors  ERR_STOP: the bytes are no history
 */
enum err_kind history_read(struct history_entry **out, size_t *count, struct view said,
                           struct view seen, struct arena *arena, struct err *err);

#endif
