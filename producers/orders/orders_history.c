#include "producers/orders/orders_history.h"

#include <assert.h>

enum { ENTRY_BYTES = 26 };

static const enum event_type heard_events[] = {
#define HEARD(bit, event) [bit] = EVENT_##event,
#include "saga/table.def"
};

enum { HEARD_COUNT = sizeof heard_events / sizeof heard_events[0] };

static uint8_t heard_bit(enum event_type type)
{
    uint8_t bit = 0;

    while (bit < HEARD_COUNT && heard_events[bit] != type)
        bit++;
    assert(bit < HEARD_COUNT);
    return bit;
}

/* The event that each state of an order is entered with, or that enters none. */
static enum event_type event_said(uint8_t what)
{
    switch (what) {
    case ORDERS_PLACED:
        return EVENT_ORDER_CREATED;
    case ORDERS_CONFIRMED:
        return EVENT_ORDER_CONFIRMED;
    case ORDERS_CANCELLED:
        return EVENT_ORDER_CANCELLED;
    case ORDERS_FULFILLED:
    case ORDERS_CLOSED:
        return EVENT_ORDER_CLOSED;
    case HISTORY_REMINDED:
        return EVENT_ORDER_REMINDED;
    default:
        return EVENT_NONE;
    }
}

/* --- Who ----------------------------------------------------------------------------------------
 */

static enum history_writer writer_of_topic(enum topic topic)
{
    switch (topic) {
    case TOPIC_ORDERS:
        return HISTORY_ORDERS;
    case TOPIC_INVENTORY:
        return HISTORY_INVENTORY;
    case TOPIC_PAYMENTS:
        return HISTORY_PAYMENT;
    case TOPIC_FRAUD:
        return HISTORY_FRAUD;
    case TOPIC_EMAILS:
    case TOPIC_PRODUCTS:
    case TOPIC_OPS:
    case TOPIC_COUNT:
        break;
    }
    return HISTORY_NOBODY;
}

enum history_writer history_writer_of(enum event_type type)
{
    return writer_of_topic(event_topic(type));
}

void history_set_cause(struct history_entry *entry, struct view cause_id)
{
    struct event_ref cause;

    entry->cause_writer = HISTORY_NOBODY;
    entry->cause_number = 0;
    if (event_ref_read(&cause, cause_id))
        entry->cause_writer = writer_of_topic(event_ref_topic(&cause));
    if (entry->cause_writer != HISTORY_NOBODY)
        entry->cause_number = cause.number;
}

/* --- Packing ------------------------------------------------------------------------------------
 */

static void write_integer(char *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (char)(uint8_t)value;
}

static uint64_t read_integer(const char *bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | (uint8_t)bytes[i];
    return value;
}

static struct view add_entry(struct view entries, uint8_t what, const struct history_entry *entry,
                             struct arena *arena)
{
    char *out = arena_alloc(arena, entries.size + ENTRY_BYTES);

    if (entries.size > 0)
        memcpy(out, entries.data, entries.size);
    out[entries.size] = (char)what;
    out[entries.size + 1] = (char)entry->cause_writer;
    write_integer(out + entries.size + 2, entry->number);
    write_integer(out + entries.size + 10, (uint64_t)entry->time_us);
    write_integer(out + entries.size + 18, entry->cause_number);
    return view_of(out, entries.size + ENTRY_BYTES);
}

struct view history_add_said(struct view said, enum saga_orders_state state,
                             const struct history_entry *entry, struct arena *arena)
{
    assert(event_said((uint8_t)state) != EVENT_NONE);
    return add_entry(said, (uint8_t)state, entry, arena);
}

struct view history_add_reminder(struct view said, const struct history_entry *entry,
                                 struct arena *arena)
{
    return add_entry(said, HISTORY_REMINDED, entry, arena);
}

struct view history_add_seen(struct view seen, const struct event *event, struct arena *arena)
{
    struct history_entry entry = {
        .number = event->envelope->number,
        .time_us = event->envelope->time_us,
    };

    history_set_cause(&entry, event->envelope->causation_id);
    return add_entry(seen, heard_bit(event->type), &entry, arena);
}

/* --- Reading ------------------------------------------------------------------------------------
 */

static enum err_kind read_entry(struct history_entry *out, const char *bytes, bool own,
                                struct err *err)
{
    uint8_t what = (uint8_t)bytes[0], writer = (uint8_t)bytes[1];

    out->type = own ? event_said(what) : what < HEARD_COUNT ? heard_events[what] : EVENT_NONE;
    if (out->type == EVENT_NONE || writer > HISTORY_FRAUD)
        return err_set(err, ERR_STOP, "history entry %u by %u, want what saga/table.def knows",
                       what, writer);
    out->cause_writer = (enum history_writer)writer;
    out->number = read_integer(bytes + 2);
    out->time_us = (int64_t)read_integer(bytes + 10);
    out->cause_number = read_integer(bytes + 18);
    return ERR_OK;
}

static bool is_cause_of(const struct history_entry *cause, const struct history_entry *entry)
{
    return entry->cause_writer != HISTORY_NOBODY && cause->number == entry->cause_number &&
           history_writer_of(cause->type) == entry->cause_writer;
}

/* Clocks of two machines differ: what follows from an event is moved behind it. */
static void place_in_time(int64_t *times, const struct history_entry *entries, size_t count)
{
    size_t passes = 0;

    for (size_t i = 0; i < count; i++)
        times[i] = entries[i].time_us;
    for (bool moved = true; moved && passes < count; passes++) {
        moved = false;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++)
                if (is_cause_of(&entries[j], &entries[i]) && times[i] <= times[j]) {
                    times[i] = times[j] + 1;
                    moved = true;
                }
    }
}

static void sort_entries(struct history_entry *entries, size_t count, struct arena *arena)
{
    int64_t *times = arena_array(arena, count + 1, sizeof *times);

    place_in_time(times, entries, count);
    for (size_t i = 1; i < count; i++) {
        struct history_entry entry = entries[i];
        int64_t time = times[i];
        size_t at = i;

        for (; at > 0 && times[at - 1] > time; at--) {
            entries[at] = entries[at - 1];
            times[at] = times[at - 1];
        }
        entries[at] = entry;
        times[at] = time;
    }
}

enum err_kind history_read(struct history_entry **out, size_t *count, struct view said,
                           struct view seen, struct arena *arena, struct err *err)
{
    size_t own = said.size / ENTRY_BYTES, others = seen.size / ENTRY_BYTES;
    struct history_entry *entries;

    if (said.size % ENTRY_BYTES != 0 || seen.size % ENTRY_BYTES != 0)
        return err_set(err, ERR_STOP, "history of %zu and %zu bytes, want multiples of %d",
                       said.size, seen.size, ENTRY_BYTES);
    entries = arena_array(arena, own + others + 1, sizeof *entries);
    for (size_t i = 0; i < own + others; i++) {
        bool is_own = i < own;
        const char *bytes =
            is_own ? said.data + i * ENTRY_BYTES : seen.data + (i - own) * ENTRY_BYTES;

        if (read_entry(&entries[i], bytes, is_own, err) != ERR_OK)
            return err->kind;
    }
    sort_entries(entries, own + others, arena);
    *out = entries;
    *count = own + others;
    return ERR_OK;
}
