#include "ops/record.h"

#include "ops/out.h"

#include <inttypes.h>

struct header_walk {
    rd_kafka_headers_t *headers;
    size_t index;
};

static bool next_header(void *context, struct header *out)
{
    struct header_walk *walk = context;
    const char *name;
    const void *value;
    size_t size;

    if (walk->headers == NULL || rd_kafka_header_get_all(walk->headers, walk->index, &name, &value,
                                                         &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    walk->index++;
    *out = (struct header){view_str(name), value != NULL ? view_of(value, size) : VIEW_NONE};
    return true;
}

void record_read_envelope(struct record *out, const rd_kafka_message_t *message,
                          struct arena *arena)
{
    struct header_walk walk = {0};
    enum err_kind kind;

    (void)arena;
    *out = (struct record){
        .topic_name = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .stored_ms = rd_kafka_message_timestamp(message, NULL),
        .key = view_of(message->key, message->key != NULL ? message->key_len : 0),
        .value = view_of(message->payload, message->payload != NULL ? message->len : 0)};
    out->topic = topic_from_name(out->topic_name);
    if (out->topic == TOPIC_NONE) {
        err_set(&out->why, ERR_REJECT, "%s is no topic of events", out->topic_name);
        return;
    }
    if (rd_kafka_message_headers(message, &walk.headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        walk.headers = NULL;
    kind = envelope_read(&out->envelope, out->topic, next_header, &walk, &out->why);
    out->type = out->envelope.type;
    out->is_event = kind == ERR_OK;
}

void record_read(struct record *out, const rd_kafka_message_t *message,
                 const struct schema_ids *ids, struct arena *arena)
{
    enum event_type type;

    record_read_envelope(out, message, arena);
    if (!out->is_event)
        return;
    out->is_event = false;
    if (event_decode(&type, &out->event, out->value, ids, arena, &out->why) != ERR_OK)
        return;
    if (type != out->type)
        err_set(&out->why, ERR_REJECT, "the value is a %s, ce_type says %s", event_type_name(type),
                event_type_name(out->type));
    else
        out->is_event = true;
}

/* --- For people ----------------------------------------------------------------------------------
 */

const char *record_symbol(struct arena *arena, const char *symbol)
{
    char *text = arena_strdup(arena, symbol);

    for (char *c = text; *c != '\0'; c++)
        *c = (char)(*c == '_' ? ' ' : *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return text;
}

static void put_money(struct buf *out, int64_t minor, struct view currency, struct arena *arena)
{
    const char *name = arena_view(arena, currency).data;

    buf_printf(out, "%s %s", out_money(arena, minor, name != NULL ? name : ""),
               name != NULL ? name : "");
}

static void put_items(struct buf *out, const struct stock_item *items, size_t count,
                      struct arena *arena)
{
    int64_t units = 0;

    for (size_t i = 0; i < count; i++)
        units += items[i].quantity;
    if (count == 0)
        buf_append_str(out, "nothing");
    else if (count == 1)
        buf_printf(out, "%s of %.*s", out_count(arena, units), VIEW_PRINT(items[0].sku));
    else
        buf_printf(out, "%s units of %zu products", out_count(arena, units), count);
}

static void put_shortages(struct buf *out, const struct inventory_rejected *event)
{
    for (size_t i = 0; i < event->shortages_count && i < 2; i++)
        buf_printf(out, "%s%.*s: wants %" PRId64 ", %" PRId64 " there", i > 0 ? "; " : "",
                   VIEW_PRINT(event->shortages[i].sku), event->shortages[i].wanted,
                   event->shortages[i].available);
    if (event->shortages_count > 2)
        buf_printf(out, "; and %zu more", event->shortages_count - 2);
}

static void put_score(struct buf *out, int32_t score, int32_t threshold,
                      const struct fraud_reason *reasons, size_t count)
{
    buf_printf(out, "score %d of %d", score, threshold);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%.*s", i == 0 ? ": " : ", ", VIEW_PRINT(reasons[i].rule));
}

static void put_order(struct buf *out, const struct order_created *event, struct arena *arena)
{
    buf_printf(out, "%zu line%s, ", event->lines_count, event->lines_count == 1 ? "" : "s");
    put_money(out, event->total_minor, event->currency, arena);
    buf_printf(out, ", %.*s, %.*s", VIEW_PRINT(event->customer_id), VIEW_PRINT(event->country));
}

static void put_cancelled(struct buf *out, const struct order_cancelled *event, struct arena *arena)
{
    buf_printf(out, "%s, was %s", record_symbol(arena, cancel_reason_name(event->reason)),
               record_symbol(arena, order_stage_name(event->was)));
    if (event->detail.size > 0)
        buf_printf(out, ": %.*s", VIEW_PRINT(event->detail));
}

void record_summary(struct buf *out, const struct record *record, struct arena *arena)
{
/* The event as the struct of its type. */
#define IS(structure) const struct structure *event = record->event
    switch (record->type) {
    case EVENT_NONE:
    case EVENT_COUNT:
        return;
    case EVENT_ORDER_CREATED: {
        IS(order_created);
        put_order(out, event, arena);
        return;
    }
    case EVENT_ORDER_CONFIRMED: {
        IS(order_confirmed);
        put_money(out, event->total_minor, event->currency, arena);
        return;
    }
    case EVENT_ORDER_CANCELLED: {
        IS(order_cancelled);
        put_cancelled(out, event, arena);
        return;
    }
    case EVENT_ORDER_CLOSED: {
        IS(order_closed);
        buf_append_str(out, record_symbol(arena, order_outcome_name(event->outcome)));
        return;
    }
    case EVENT_ORDER_REMINDED: {
        IS(order_reminded);
        put_order(out, &event->order, arena);
        return;
    }
    case EVENT_INVENTORY_RESERVED: {
        IS(inventory_reserved);
        put_items(out, event->items, event->items_count, arena);
        return;
    }
    case EVENT_INVENTORY_REJECTED: {
        IS(inventory_rejected);
        put_shortages(out, event);
        return;
    }
    case EVENT_INVENTORY_RELEASED: {
        IS(inventory_released);
        put_items(out, event->items, event->items_count, arena);
        if (event->items_count > 0)
            buf_printf(out, ", was %s",
                       record_symbol(arena, released_from_name(event->released_from)));
        return;
    }
    case EVENT_INVENTORY_COMMITTED: {
        IS(inventory_committed);
        put_items(out, event->items, event->items_count, arena);
        return;
    }
    case EVENT_STOCK_RECEIVED: {
        IS(stock_received);
        buf_printf(out, "%s of %.*s", out_count(arena, event->quantity), VIEW_PRINT(event->sku));
        return;
    }
    case EVENT_PAYMENT_AUTHORIZED: {
        IS(payment_authorized);
        put_money(out, event->amount_minor, event->currency, arena);
        return;
    }
    case EVENT_PAYMENT_DECLINED: {
        IS(payment_declined);
        buf_printf(out, "%.*s", VIEW_PRINT(event->decline_code));
        return;
    }
    case EVENT_PAYMENT_CAPTURED: {
        IS(payment_captured);
        put_money(out, event->amount_minor, event->currency, arena);
        return;
    }
    case EVENT_PAYMENT_VOIDED: {
        IS(payment_voided);
        put_money(out, event->amount_minor, event->currency, arena);
        return;
    }
    case EVENT_PAYMENT_REFUNDED: {
        IS(payment_refunded);
        put_money(out, event->amount_minor, event->currency, arena);
        return;
    }
    case EVENT_PAYMENT_FAILED: {
        IS(payment_failed);
        buf_printf(out, "%.*s", VIEW_PRINT(event->failure_code));
        return;
    }
    case EVENT_FRAUD_CLEARED: {
        IS(fraud_cleared);
        put_score(out, event->score, event->threshold, event->reasons, event->reasons_count);
        return;
    }
    case EVENT_FRAUD_FLAGGED: {
        IS(fraud_flagged);
        put_score(out, event->score, event->threshold, event->reasons, event->reasons_count);
        return;
    }
    case EVENT_EMAIL_SENT: {
        IS(email_sent);
        buf_append_str(out, record_symbol(arena, mail_kind_name(event->kind)));
        return;
    }
    case EVENT_EMAIL_FAILED: {
        IS(email_failed);
        buf_printf(out, "%s: %.*s", record_symbol(arena, mail_kind_name(event->kind)),
                   VIEW_PRINT(event->reason));
        return;
    }
    case EVENT_PRODUCT_UPSERTED: {
        IS(product_upserted);
        buf_printf(out, "%.*s, ", VIEW_PRINT(event->name));
        put_money(out, event->unit_price_minor, event->currency, arena);
        return;
    }
    case EVENT_PRODUCT_WITHDRAWN:
        return;
    case EVENT_OPS_ACTED: {
        IS(ops_acted);
        buf_printf(out, "%.*s %.*s, by %.*s", VIEW_PRINT(event->action), VIEW_PRINT(event->subject),
                   VIEW_PRINT(event->actor));
        return;
    }
    }
#undef IS
}

/* --- For programs --------------------------------------------------------------------------------
 */

void record_print_json(struct buf *out, const struct record *record)
{
    struct json_writer json = {.out = out};
    const struct envelope *envelope = &record->envelope;

    json_object_start(&json);
    json_member_str(&json, "topic", record->topic_name);
    json_member_int64(&json, "partition", record->partition);
    json_member_int64(&json, "offset", record->offset);
    if (record->is_event) {
        json_member_text(&json, "id", envelope->id);
        json_member_str(&json, "type", event_type_name(record->type));
        json_member_text(&json, "source", envelope->source);
        json_member_int64(&json, "number", (int64_t)envelope->number);
        json_member_time_us(&json, "time", envelope->time_us);
        json_member_text(&json, "subject", envelope->subject);
        json_member_text(&json, "causation_id", envelope->causation_id);
        json_member_text(&json, "correlation_id", envelope->correlation_id);
        json_key(&json, "data");
        event_print_json(&json, record->type, record->event);
    } else {
        json_member_str(&json, "error", record->why.text);
        json_member_text(&json, "key", record->key);
        json_key(&json, "value_base64");
        json_put_base64(&json, record->value);
    }
    json_object_end(&json);
}
