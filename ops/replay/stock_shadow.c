#include "ops/replay/stock_shadow.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SAVE_EVERY_MS 10000

static const enum topic TOPICS[] = {TOPIC_INVENTORY, TOPIC_ORDERS};

/* --- Opening ---------------------------------------------------------------------------------- */

char *stock_database_beside(const char *uri, const char *name)
{
    const char *host = strstr(uri, "://");
    const char *path = strchr(host != NULL ? host + 3 : uri, '/');
    const char *end = strchr(uri, '?');
    AUTO(buf_clear) struct buf beside = {0};

    if (end == NULL || path == NULL || end < path)
        end = uri + strlen(uri);
    buf_append(&beside, uri, (size_t)(end - uri));
    buf_append_str(&beside, name);
    buf_append_str(&beside, end);
    return mem_strdup(buf_cstr(&beside));
}

enum err_kind stock_shadow_open(struct stock_shadow *shadow,
                                const struct stock_shadow_options *options, struct err *err)
{
    char *uri = stock_database_beside(options->uri, options->name);
    enum err_kind kind;

    *shadow = (struct stock_shadow){.ids = options->ids, .saved_ms = clock_monotonic_ms()};
    tally_init(&shadow->tally, clock_utc_us());
    kind = mongo_open(&shadow->mongo, uri, "tradewind replay", err);
    free(uri);
    if (kind == ERR_OK)
        /* An order is remembered until both topics have ended it. */
        kind = log_reader_open_abreast(&shadow->reader, options->brokers, TOPICS,
                                       sizeof TOPICS / sizeof TOPICS[0], options->partitions, err);
    shadow->reader.rate = options->rate;
    return kind;
}

void stock_shadow_close(struct stock_shadow *shadow)
{
    if (shadow->reader.client != NULL)
        log_reader_close(&shadow->reader);
    mongo_close(shadow->mongo);
    shadow->mongo = NULL;
    tally_clear(&shadow->tally);
    free(shadow->about.aside_keys);
    arena_clear(&shadow->arena);
    arena_clear(&shadow->record_arena);
}

enum err_kind stock_shadow_load(struct stock_shadow *shadow, bool *found,
                                enum err_kind (*counts)(void *context,
                                                        const struct tally_about *about, bool *yes,
                                                        struct err *err),
                                void *context, struct err *err)
{
    return tally_load(found, shadow->mongo, &shadow->tally, &shadow->reader, &shadow->about,
                      &shadow->arena, counts, context, err);
}

/* --- Folding ---------------------------------------------------------------------------------- */

/* What the part does not take for an id, and no line holds. */
static bool is_name(struct view key)
{
    if (key.size == 0 || key.size > STOCK_ID_MAX || !view_is_utf8(key))
        return false;
    for (size_t i = 0; i < key.size; i++)
        if ((unsigned char)key.data[i] < ' ')
            return false;
    return true;
}

static uint64_t number_of_cause(const struct envelope *envelope)
{
    struct event_ref cause;

    return event_ref_read(&cause, envelope->causation_id) ? cause.number : 0;
}

static enum err_kind fold(struct tally *tally, enum topic topic, const struct envelope *envelope,
                          const void *event, const struct tally_event *by, struct err *err)
{
    if (topic != TOPIC_INVENTORY) {
        tally_hear(tally, envelope->type, event, envelope->number);
        return ERR_OK;
    }
    return tally_fold(tally, envelope->type, event, by, number_of_cause(envelope), err);
}

static void cannot_be_read(struct stock_shadow *shadow, const struct log_place *place,
                           const rd_kafka_message_t *message, const char *why)
{
    if (shadow->about.unreadable++ == 0)
        snprintf(shadow->about.example, sizeof shadow->about.example,
                 "%s/%d offset %" PRId64 ": %.200s", topic_name(place->topic), place->partition,
                 message->offset, why);
}

static enum err_kind take(struct stock_shadow *shadow, const struct log_place *place,
                          const rd_kafka_message_t *message)
{
    struct record record;
    struct tally_event by;
    enum err_kind kind;

    arena_reset(&shadow->record_arena);
    record_read(&record, message, shadow->ids, &shadow->record_arena);
    if (record.is_event && record.envelope.shard != place->partition)
        record.is_event = err_set(&record.why, ERR_REJECT, "ce_id: shard %d in partition %d",
                                  record.envelope.shard, place->partition) == ERR_OK;
    if (record.is_event &&
        (!view_equal(record.envelope.subject, record.key) || !is_name(record.key)))
        record.is_event =
            err_set(&record.why, ERR_REJECT, "ce_subject: not the record's key") == ERR_OK;
    if (!record.is_event) {
        cannot_be_read(shadow, place, message, record.why.text);
        return ERR_OK;
    }
    by = (struct tally_event){record.type, place->partition, record.envelope.number,
                              message->offset, record.envelope.time_us};
    kind = fold(&shadow->tally, place->topic, &record.envelope, record.event, &by, &record.why);
    if (kind != ERR_OK)
        cannot_be_read(shadow, place, message, record.why.text);
    shadow->folded += kind == ERR_OK;
    shadow->is_moved = true;
    return ERR_OK;
}

/* --- Moving ----------------------------------------------------------------------------------- */

static enum err_kind save(struct stock_shadow *shadow, struct err *err)
{
    enum err_kind kind =
        tally_save(shadow->mongo, &shadow->tally, &shadow->reader, &shadow->about, err);

    if (kind == ERR_OK)
        kind = tally_drop_older(shadow->mongo, err);
    shadow->saved_ms = clock_monotonic_ms();
    if (kind == ERR_OK)
        shadow->is_moved = false;
    return kind;
}

static enum err_kind move_record(void *context, struct log_place *place,
                                 const rd_kafka_message_t *message, struct err *err)
{
    struct stock_shadow *shadow = context;
    enum err_kind kind = ERR_OK;

    if (message != NULL)
        return take(shadow, place, message);
    if (shadow->progress != NULL)
        kind = shadow->progress(shadow->context, shadow, err);
    if (kind == ERR_OK && shadow->is_moved &&
        clock_monotonic_ms() - shadow->saved_ms >= SAVE_EVERY_MS)
        kind = save(shadow, err);
    return kind;
}

enum err_kind stock_shadow_move(struct stock_shadow *shadow, struct err *err)
{
    struct err of_run = {0};
    enum err_kind kind = log_reader_run(&shadow->reader, move_record, shadow, &of_run);
    enum err_kind saved = shadow->is_moved ? save(shadow, err) : ERR_OK;

    if (kind != ERR_OK)
        return err_set(err, kind, "%s", of_run.text);
    return saved;
}

/* --- What is set aside ------------------------------------------------------------------------ */

static void add_key(struct stock_shadow *shadow, struct view key)
{
    struct tally_about *about = &shadow->about;

    if (!is_name(key))
        return;
    for (size_t i = 0; i < about->aside_count; i++)
        if (view_equal(about->aside_keys[i], key))
            return;
    about->aside_keys =
        mem_grow(about->aside_keys, about->aside_count + 1, sizeof *about->aside_keys);
    about->aside_keys[about->aside_count++] = arena_view(&shadow->arena, key);
}

/* Units are sums of own events, which are never set aside: they stay as they are, and only what is
 * known of the orders is made anew. */
static void fold_again(struct stock_shadow *shadow, const struct asides *asides,
                       const struct key_event *events, size_t count)
{
    struct tally anew;

    tally_init(&anew, clock_utc_us());
    for (size_t i = 0; i < count; i++) {
        const struct key_event *event = &events[i];
        const struct tally_event by = {event->event.type, event->partition, event->number,
                                       event->offset, event->envelope.time_us};

        if (asides_find(asides, event->topic, event->partition, event->number) == NULL)
            fold(&anew, event->topic, &event->envelope, event->event.data, &by, NULL);
    }
    for (size_t i = 0; i < shadow->about.aside_count; i++) {
        struct tally_order *order = lookup_remove(&anew.orders, shadow->about.aside_keys[i]);

        tally_forget(&shadow->tally, shadow->about.aside_keys[i]);
        if (order != NULL)
            lookup_add(&shadow->tally.orders, order);
    }
    tally_clear(&anew);
    shadow->is_moved = true;
}

enum err_kind stock_shadow_set_aside(struct stock_shadow *shadow, const struct asides *asides,
                                     struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct key_events_until until = {.position = &shadow->reader};
    const struct aside *aside;
    struct key_event *events = NULL;
    size_t place = 0, count = 0;
    enum err_kind kind;

    while ((aside = lookup_next(&asides->by_id, &place)) != NULL)
        add_key(shadow, aside->key);
    if (shadow->about.aside_count == 0)
        return ERR_OK;
    kind = key_events_read(&events, &count, shadow->reader.brokers, TOPICS,
                           sizeof TOPICS / sizeof TOPICS[0], shadow->reader.partitions, &until,
                           shadow->about.aside_keys, shadow->about.aside_count, shadow->ids, &arena,
                           err);
    if (kind == ERR_OK)
        fold_again(shadow, asides, events, count);
    return kind;
}
