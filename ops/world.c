#include "ops/world.h"

#include "runtime/murmur2.h"
#include "saga/word.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct mail_id {
    uint64_t hash;
    const struct world_order *order;
    int mail;
};

static struct view order_key(const void *thing)
{
    return view_str(((const struct world_order *)thing)->id);
}

static struct view sku_key(const void *thing)
{
    return ((const struct world_sku *)thing)->code;
}

static struct view mail_id_key(const void *thing)
{
    return view_of(&((const struct mail_id *)thing)->hash, sizeof(uint64_t));
}

void world_init(struct world *world, int32_t partitions, struct arena *arena)
{
    *world = (struct world){.arena = arena,
                            .partitions = partitions,
                            .orders = {.key_of = order_key},
                            .skus = {.key_of = sku_key},
                            .mail_ids = {.key_of = mail_id_key}};
}

void world_clear(struct world *world)
{
    for (size_t i = 0; i < world->stream_count; i++)
        free(world->streams[i].fingerprints);
    free(world->streams);
    lookup_clear(&world->orders);
    lookup_clear(&world->skus);
    lookup_clear(&world->mail_ids);
}

/* --- Rows ----------------------------------------------------------------------------------------
 */

struct world_order *world_find(const struct world *world, struct view id)
{
    return lookup_find(&world->orders, id);
}

static const enum saga_part WORD_PARTS[WORLD_WORDS] = {
    PART_INVENTORY, PART_PAYMENT, PART_FRAUD, PART_ORDERS, PART_EMAIL, PART_EMAIL, PART_EMAIL};

struct world_order *world_order(struct world *world, struct view id)
{
    struct world_order *order = lookup_find(&world->orders, id);

    if (order != NULL || id.size == 0 || id.size >= WORLD_ID_SIZE)
        return order;
    order = arena_alloc(world->arena, sizeof *order);
    memcpy(order->id, id.data, id.size);
    order->shard = (int32_t)partition_of(id, (uint32_t)world->partitions);
    for (int i = 0; i < WORLD_WORDS; i++)
        order->words[i] = (uint16_t)saga_word_begin(WORD_PARTS[i]).states;
    lookup_add(&world->orders, order);
    return order;
}

struct world_sku *world_sku(struct world *world, struct view code)
{
    struct world_sku *sku = lookup_find(&world->skus, code);

    if (sku != NULL)
        return sku;
    sku = arena_alloc(world->arena, sizeof *sku);
    sku->code = arena_view(world->arena, code);
    lookup_add(&world->skus, sku);
    return sku;
}

const char *world_state(const struct world_order *order)
{
    return saga_state_name(PART_ORDERS, (int)order->progress.state);
}

bool world_is_final(const struct world_order *order)
{
    return saga_state_is_final(PART_ORDERS, (int)order->progress.state);
}

/* --- Numbers -------------------------------------------------------------------------------------
 */

uint64_t world_fingerprint(const rd_kafka_message_t *message)
{
    uint64_t hash = view_hash(view_of(message->key, message->key != NULL ? message->key_len : 0));
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t size;

    hash = hash * 1099511628211u ^
           view_hash(view_of(message->payload, message->payload != NULL ? message->len : 0));
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                           RD_KAFKA_RESP_ERR_NO_ERROR;
             i++) {
            hash = hash * 1099511628211u ^ view_hash(view_str(name));
            hash = hash * 1099511628211u ^ view_hash(view_of(value, value != NULL ? size : 0));
        }
    return hash != 0 ? hash : 1;
}

static struct world_stream *stream_of(struct world *world, const struct record *record)
{
    struct world_stream *stream;

    for (size_t i = world->stream_count; i-- > 0;) {
        stream = &world->streams[i];
        if (stream->topic == record->topic && stream->partition == record->partition &&
            view_equal(stream->source, record->envelope.source))
            return stream;
    }
    world->streams = mem_room(world->streams, world->stream_count, &world->stream_capacity,
                              sizeof *world->streams);
    stream = &world->streams[world->stream_count++];
    *stream = (struct world_stream){.topic = record->topic,
                                    .partition = record->partition,
                                    .source = arena_view(world->arena, record->envelope.source)};
    return stream;
}

/* A number far above all others is not believed: its place would be memory. */
#define NUMBER_LEAP 10000000

/* True when the record is the next one of its stream: then it is to be applied. */
static bool take_number(struct world_stream *stream, uint64_t number, uint64_t fingerprint)
{
    if (number > stream->highest + NUMBER_LEAP) {
        if (stream->leaps++ == 0)
            stream->leap = number;
        return false;
    }
    if (number > stream->capacity) {
        size_t capacity = stream->capacity * 2 > number ? stream->capacity * 2 : number + 1024;

        stream->fingerprints =
            mem_grow(stream->fingerprints, capacity, sizeof *stream->fingerprints);
        memset(&stream->fingerprints[stream->capacity], 0,
               (capacity - stream->capacity) * sizeof *stream->fingerprints);
        stream->capacity = capacity;
    }
    if (number > stream->highest)
        stream->highest = number;
    if (stream->fingerprints[number - 1] == 0)
        stream->fingerprints[number - 1] = fingerprint;
    else if (stream->fingerprints[number - 1] == fingerprint)
        stream->repeats++;
    else if (stream->conflicts++ == 0)
        stream->conflict = number;
    if (number != stream->applied + 1)
        return false;
    stream->applied++;
    return true;
}

/* --- Events --------------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t hash)
{
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

static world_units units_of(struct view sku, int64_t quantity)
{
    return mix(view_hash(sku)) * (uint64_t)quantity;
}

uint64_t world_payment_fact(uint64_t number, int64_t amount_minor)
{
    return mix(number * 0x9e3779b97f4a7c15u ^ mix((uint64_t)amount_minor));
}

static void set_currency(struct world_order *order, struct view currency)
{
    struct world_currency code = {0};

    if (currency.size == 0)
        return;
    memcpy(code.code, currency.data, currency.size < 3 ? currency.size : 3);
    if (order->currency.code[0] == '\0')
        order->currency = code;
    else if (memcmp(order->currency.code, code.code, sizeof code.code) != 0)
        order->mixed_currencies = true;
}

static void feed_created(struct world_order *order, const struct order_created *event)
{
    order->created = true;
    order->created_us = event->occurred_at;
    order->deadline_ms = event->deadline_ms;
    order->total_minor = event->total_minor;
    order->line_count = (uint32_t)event->lines_count;
    order->progress.state = ORDERS_PLACED;
    set_currency(order, event->currency);
    for (size_t i = 0; i < event->lines_count; i++) {
        const struct order_line *line = &event->lines[i];

        order->lines_minor += line->quantity * line->unit_price_minor;
        if (line->kind == LINE_KIND_GOODS)
            order->ordered += units_of(line->sku, line->quantity);
    }
}

static void feed_orders(struct world_order *order, const struct record *record)
{
    if (record->type == EVENT_ORDER_CREATED) {
        feed_created(order, record->event);
    } else if (record->type == EVENT_ORDER_CONFIRMED) {
        order->was_confirmed = true;
        order->progress.state = ORDERS_CONFIRMED;
    } else if (record->type == EVENT_ORDER_CANCELLED) {
        const struct order_cancelled *event = record->event;

        order->was_fulfilled = order->progress.state == ORDERS_FULFILLED;
        order->progress.state = ORDERS_CANCELLED;
        order->reason = (uint8_t)event->reason;
    } else if (record->type == EVENT_ORDER_CLOSED) {
        const struct order_closed *event = record->event;

        order->progress.state =
            event->outcome == ORDER_OUTCOME_FULFILLED ? ORDERS_FULFILLED : ORDERS_CLOSED;
    }
}

static world_units add_up(const struct stock_item *items, size_t count)
{
    world_units sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += units_of(items[i].sku, items[i].quantity);
    return sum;
}

static void feed_inventory(struct world *world, struct world_order *order,
                           const struct record *record)
{
    if (record->type == EVENT_INVENTORY_RESERVED) {
        const struct inventory_reserved *event = record->event;

        order->reserved_count++;
        order->reserved += add_up(event->items, event->items_count);
        for (size_t i = 0; i < event->items_count; i++)
            world_sku(world, event->items[i].sku)->held += event->items[i].quantity;
    } else if (record->type == EVENT_INVENTORY_COMMITTED) {
        const struct inventory_committed *event = record->event;

        order->committed_count++;
        order->committed += add_up(event->items, event->items_count);
        for (size_t i = 0; i < event->items_count; i++) {
            world_sku(world, event->items[i].sku)->held -= event->items[i].quantity;
            world_sku(world, event->items[i].sku)->sold += event->items[i].quantity;
        }
    } else if (record->type == EVENT_INVENTORY_RELEASED) {
        const struct inventory_released *event = record->event;

        order->released_count++;
        order->released += add_up(event->items, event->items_count);
        for (size_t i = 0; i < event->items_count; i++) {
            struct world_sku *sku = world_sku(world, event->items[i].sku);

            if (event->released_from == RELEASED_FROM_SOLD)
                sku->sold -= event->items[i].quantity;
            else
                sku->held -= event->items[i].quantity;
        }
    }
}

static void feed_payment(struct world_order *order, const struct record *record)
{
    int64_t amount_minor = 0;

    if (record->type == EVENT_PAYMENT_AUTHORIZED) {
        const struct payment_authorized *event = record->event;

        amount_minor = event->amount_minor;
        order->authorized_minor += amount_minor;
        set_currency(order, event->currency);
    } else if (record->type == EVENT_PAYMENT_CAPTURED) {
        const struct payment_captured *event = record->event;

        amount_minor = event->amount_minor;
        order->captured_minor += amount_minor;
        order->captured_count++;
        set_currency(order, event->currency);
    } else if (record->type == EVENT_PAYMENT_REFUNDED) {
        const struct payment_refunded *event = record->event;

        amount_minor = event->amount_minor;
        order->refunded_minor += amount_minor;
        order->refunded_count++;
        set_currency(order, event->currency);
    } else if (record->type == EVENT_PAYMENT_VOIDED) {
        amount_minor = ((const struct payment_voided *)record->event)->amount_minor;
        order->voided_minor += amount_minor;
    } else if (record->type == EVENT_PAYMENT_DECLINED) {
        amount_minor = ((const struct payment_declined *)record->event)->amount_minor;
    } else if (record->type == EVENT_PAYMENT_FAILED) {
        amount_minor = ((const struct payment_failed *)record->event)->amount_minor;
    }
    order->payment_count++;
    order->payment_facts += world_payment_fact(record->envelope.number, amount_minor);
}

/* -1: a kind of mail that is not known here. */
static int mail_of(const struct record *record)
{
    enum mail_kind kind = record->type == EVENT_EMAIL_SENT
                              ? ((const struct email_sent *)record->event)->kind
                              : ((const struct email_failed *)record->event)->kind;

    return kind >= MAIL_KIND_CONFIRMATION && kind <= MAIL_KIND_REFUND
               ? (int)kind - MAIL_KIND_CONFIRMATION
               : -1;
}

static void note_mail_id(struct world *world, struct world_order *order, int mail,
                         struct view message_id)
{
    uint64_t hash = mix(view_hash(message_id)) | 1;
    struct mail_id *known = lookup_find(&world->mail_ids, view_of(&hash, sizeof hash));

    if (order->mail_ids[mail] != 0 && order->mail_ids[mail] != hash)
        order->mail_ids_differ = true;
    order->mail_ids[mail] = hash;
    if (known == NULL) {
        known = arena_alloc(world->arena, sizeof *known);
        *known = (struct mail_id){hash, order, mail};
        lookup_add(&world->mail_ids, known);
    } else if ((known->order != order || known->mail != mail) && world->double_mail_ids++ == 0) {
        world->double_mail_example =
            arena_printf(world->arena, "orders %s and %s share the mail id %.*s", known->order->id,
                         order->id, VIEW_PRINT(message_id))
                .data;
    }
}

static void feed_email(struct world *world, struct world_order *order, const struct record *record)
{
    int mail = mail_of(record);

    if (mail < 0)
        return;
    if (record->type == EVENT_EMAIL_SENT) {
        order->mails_sent |= (uint8_t)(1 << mail);
        note_mail_id(world, order, mail, ((const struct email_sent *)record->event)->message_id);
    } else {
        order->mails_failed |= (uint8_t)(1 << mail);
        note_mail_id(world, order, mail, ((const struct email_failed *)record->event)->message_id);
    }
}

static uint16_t next_states(struct world *world, enum saga_part part, uint16_t states,
                            enum event_type type)
{
    uint32_t question = ((uint32_t)part + 1) << 24 | (uint32_t)type << 16 | states;
    struct world_word_memory *memory = &world->word_memory[mix(question) % WORLD_WORDS_REMEMBERED];

    if (memory->question != question) {
        struct saga_word word = {part, states};

        saga_word_next(&word, type);
        *memory = (struct world_word_memory){question, (uint16_t)word.states};
    }
    return memory->states;
}

static void feed_word(struct world *world, struct world_order *order, const struct record *record)
{
    enum saga_part part = saga_part_from_name(topic_writer(record->topic));
    int slot = 0;

    if (part == PART_NONE)
        return;
    while (slot < WORLD_WORDS && WORD_PARTS[slot] != part)
        slot++;
    if (part == PART_EMAIL)
        slot += mail_of(record) > 0 ? mail_of(record) : 0;
    order->words[slot] = next_states(world, part, order->words[slot], record->type);
    if (order->words[slot] == 0)
        order->broken_words |= (uint8_t)(1 << part);
}

static void feed_order(struct world *world, struct world_order *order, const struct record *record)
{
    if (order->created_us == 0)
        order->created_us = record->envelope.time_us;
    if (record->envelope.time_us > order->last_us)
        order->last_us = record->envelope.time_us;
    feed_word(world, order, record);
    order->progress.heard = order_progress_hear(order->progress.heard, record->type);
    switch (record->topic) {
    case TOPIC_ORDERS:
        feed_orders(order, record);
        return;
    case TOPIC_INVENTORY:
        feed_inventory(world, order, record);
        return;
    case TOPIC_PAYMENTS:
        feed_payment(order, record);
        return;
    case TOPIC_FRAUD:
        order->fraud = record->type == EVENT_FRAUD_FLAGGED ? 2 : 1;
        return;
    case TOPIC_EMAILS:
        feed_email(world, order, record);
        return;
    case TOPIC_PRODUCTS:
    case TOPIC_OPS:
    case TOPIC_COUNT:
        return;
    }
}

static const char *where(struct world *world, const struct record *record)
{
    return arena_printf(world->arena, "%s/%d at %" PRId64 ": %s", record->topic_name,
                        record->partition, record->offset,
                        record->why.text[0] != '\0' ? record->why.text : "of another partition")
        .data;
}

/* Is its number one of the stream in whose partition it lies? */
static bool is_numbered_here(const struct record *record)
{
    const struct envelope *envelope = &record->envelope;

    return envelope->number > 0 && envelope->source.size > 0 &&
           envelope->shard == record->partition;
}

void world_feed(struct world *world, const struct record *record, uint64_t fingerprint)
{
    const struct envelope *envelope = &record->envelope;
    struct world_order *order;

    world->record_count++;
    if (!is_numbered_here(record)) {
        if (world->not_events++ == 0)
            world->not_event = where(world, record);
        return;
    }
    if (!take_number(stream_of(world, record), envelope->number, fingerprint))
        return;
    if (!record->is_event) {
        if (world->undecodable++ == 0)
            world->undecodable_example = where(world, record);
        return;
    }
    if (partition_of(record->key, (uint32_t)world->partitions) != (uint32_t)record->partition &&
        world->misplaced++ == 0)
        world->misplaced_example =
            arena_printf(world->arena, "%.*s lies in %s/%d", VIEW_PRINT(envelope->id),
                         record->topic_name, record->partition)
                .data;
    world->event_count[record->type]++;
    if (envelope->time_us > world->last_us)
        world->last_us = envelope->time_us;
    if (record->type == EVENT_STOCK_RECEIVED) {
        const struct stock_received *event = record->event;

        world_sku(world, event->sku)->received += event->quantity;
    } else if (record->topic != TOPIC_PRODUCTS && record->topic != TOPIC_OPS &&
               (order = world_order(world, envelope->subject)) != NULL) {
        feed_order(world, order, record);
    }
}
