#include "tests/faults/order_path.h"

#include "consumers/email/email_letter.h"
#include "consumers/fraud/fraud_decide.h"
#include "consumers/inventory/decide.h"
#include "consumers/payment/payment_provider.h"
#include "events/codec.h"
#include "events/envelope.h"
#include "producers/orders/orders_decide.h"
#include "producers/orders/orders_request.h"
#include "runtime/base64.h"
#include "runtime/smtp.h"
#include "runtime/token.h"

#define NOW_S 1000000
#define NOW_US 1290000000000000
#define ID VIEW_LITERAL("01ARYZ6S410000000000000000")
#define MAIN VIEW_LITERAL("main")
#define GBP VIEW_LITERAL("GBP")

/* One walk. Each step stops at the first that failed. */
struct walk {
    const struct road *road;
    struct arena arena;
    struct stock stock;
    struct order order;
    struct payment_memory payment;
    uint64_t digest;
    uint64_t number;
    enum err_kind kind;
    struct err *err;
};

static bool good(struct walk *walk, enum err_kind kind)
{
    if (walk->kind == ERR_OK)
        walk->kind = kind;
    return walk->kind == ERR_OK;
}

static void digest(struct walk *walk, struct view bytes)
{
    walk->digest = walk->digest * 31 + view_hash(bytes);
}

/* Publish it and read it back as a consumer does; NULL after a failure. */
static const void *tell(struct walk *walk, enum event_type type, const void *event)
{
    AUTO(buf_clear) struct buf value = {0}, headers = {0};
    const struct envelope envelope = {
        .type = type,
        .source = view_str(topic_writer(event_topic(type))),
        .shard = 7,
        .number = ++walk->number,
        .subject = ID,
        .time_us = NOW_US,
    };
    struct envelope read;
    enum event_type read_type;

    if (walk->kind != ERR_OK ||
        !good(walk, event_encode(&value, type, event, walk->road->ids, walk->err)) ||
        !good(walk, envelope_write(&headers, &envelope, walk->err)) ||
        !good(walk, envelope_read_block(&read, event_topic(type), buf_view(&headers), walk->err)))
        return NULL;
    digest(walk, buf_view(&headers));
    if (type != EVENT_ORDER_CREATED) /* its contact is sealed with another nonce each time */
        digest(walk, buf_view(&value));
    if (!good(walk, event_decode(&read_type, &event, arena_view(&walk->arena, buf_view(&value)),
                                 walk->road->ids, &walk->arena, walk->err)))
        return NULL;
    return event;
}

/* --- Orders --------------------------------------------------------------------------------- */

static struct json *body_of(struct walk *walk, size_t lines)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json *body = NULL;

    buf_append_str(
        &text, "{\"currency\":\"GBP\",\"payment_token\":\"t\",\"contact\":{\"name\":\"A\\u00f6\","
               "\"email\":\"a@b.example\",\"address\":\"1 Street\"},\"lines\":[");
    for (size_t i = 0; i < lines; i++)
        buf_printf(&text, "%s{\"sku\":\"t%04zu\",\"quantity\":%zu}", i > 0 ? "," : "", i,
                   i % 9 + 1);
    buf_append_str(&text, "]}");
    if (!good(walk, json_parse(&body, arena_view(&walk->arena, buf_view(&text)), &walk->arena,
                               walk->err)))
        return NULL;
    return body;
}

static const struct price *prices_of(struct walk *walk, const struct order_request *request)
{
    struct price *prices = arena_array(&walk->arena, request->line_count, sizeof *prices);

    for (size_t i = 0; i < request->line_count; i++)
        prices[i] = (struct price){.sku = request->lines[i].sku,
                                   .unit_price_minor = 995,
                                   .currency = GBP,
                                   .kind = PRODUCT_KIND_GOODS,
                                   .sold = true,
                                   .event = VIEW_LITERAL("catalog/1/1")};
    return prices;
}

static void refused(struct walk *walk, const char *why)
{
    good(walk, err_set(walk->err, ERR_REJECT, "refused: %s", why));
}

static const struct order_created *place(struct walk *walk, size_t lines)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = NULL;
    struct token_claims claims = {0};
    const struct order_asker asker = {
        .subject = claims.subject, .shop_country = "United Kingdom", .warehouses = "main"};
    const struct order_terms terms = {.order_id = ID, .deadline_ms = 900000, .now_us = NOW_US};
    struct json_reader reader = {.arena = &walk->arena};
    struct order_created created = {0};
    struct refusal refusal = {0};
    struct order_request request;
    struct contact contact;
    struct sealed sealed;
    struct json *body;

    if (!good(walk, token_verifier_new(&verifier, walk->road->jwks_path, walk->err)) ||
        !good(walk, token_verify(verifier, walk->road->token, NOW_S, &claims, walk->err)) ||
        (body = body_of(walk, lines)) == NULL)
        return NULL;
    if (!order_request_read(&request, &contact, body, &asker, &reader)) {
        refused(walk, reader.err.text);
        return NULL;
    }
    if (!good(walk, contact_seal(&sealed, &contact, ID, &walk->road->contact_key, &walk->arena,
                                 walk->err)))
        return NULL;
    request.contact = &sealed;
    if (!order_decide_place(&created, &request, &terms, prices_of(walk, &request), lines,
                            &walk->arena, &refusal)) {
        refused(walk, refusal.detail);
        return NULL;
    }
    walk->order.progress.state = ORDERS_PLACED;
    return tell(walk, EVENT_ORDER_CREATED, &created);
}

/* The order service hears an event; gives what it publishes then. */
static const void *join(struct walk *walk, enum event_type type, const void *event)
{
    const struct order_trigger trigger = {
        .trigger = saga_trigger_of(type), .event = event, .now_us = NOW_US};
    struct order_decision decision;

    if (walk->kind != ERR_OK ||
        !good(walk, order_decide(&decision, &walk->order, &trigger, &walk->arena, walk->err)))
        return NULL;
    walk->order.progress = decision.after;
    return decision.publishes != EVENT_NONE ? tell(walk, decision.publishes, &decision.confirmed)
                                            : NULL;
}

/* --- The others ----------------------------------------------------------------------------- */

static const void *stock_hears(struct walk *walk, enum event_type type, const void *event)
{
    const struct question question = {
        .type = type, .key = ID, .event = event, .warehouse = MAIN, .now_us = NOW_US};
    struct decision decision = {0};

    if (walk->kind != ERR_OK ||
        !good(walk, inventory_decide(&decision, &walk->stock, &question, &walk->arena, walk->err)))
        return NULL;
    if (decision.has_entry && !good(walk, stock_apply(&walk->stock, &decision.entry, walk->err)))
        return NULL;
    return decision.publishes != EVENT_NONE ? tell(walk, decision.publishes, decision.event) : NULL;
}

/* An event asks for a call, the provider answers it with yes. */
static const void *money_moves(struct walk *walk, enum event_type type,
                               const struct order_created *created)
{
    AUTO(buf_clear) struct buf body = {0};
    struct payment_decision decision;
    struct provider_answer answer;
    struct payment_authorized moved; /* the same fields as payment.captured */

    if (walk->kind != ERR_OK || !good(walk, payment_decide(&decision, &walk->payment,
                                                           saga_trigger_of(type), ID, walk->err)))
        return NULL;
    walk->payment = decision.next;
    payment_provider_body(&body, &(struct owed_call){.operation = decision.call,
                                                     .order_id = ID,
                                                     .amount_minor = created->total_minor,
                                                     .currency = GBP,
                                                     .payment_token = VIEW_LITERAL("t")});
    digest(walk, buf_view(&body));
    answer = payment_provider_read(decision.call, 200,
                                   decision.call == CALL_AUTHORIZE
                                       ? VIEW_LITERAL("{\"id\":\"a_1\",\"status\":\"authorized\"}")
                                       : VIEW_LITERAL("{\"id\":\"c_1\",\"status\":\"captured\"}"),
                                   &walk->arena, walk->err);
    if (answer.says != PROVIDER_YES) {
        good(walk, answer.says == PROVIDER_NOTHING
                       ? ERR_RETRY
                       : err_set(walk->err, ERR_REJECT, "the provider's yes was read as a no"));
        return NULL;
    }
    if (!good(walk, payment_decide(&decision, &walk->payment,
                                   payment_trigger_of_answer(decision.call, true), ID, walk->err)))
        return NULL;
    walk->payment = decision.next;
    moved = (struct payment_authorized){.order_id = ID,
                                        .amount_minor = created->total_minor,
                                        .currency = GBP,
                                        .provider = VIEW_LITERAL("sandbox"),
                                        .provider_ref = answer.ref,
                                        .occurred_at = NOW_US};
    return tell(walk, decision.step->publishes, &moved);
}

static const void *fraud_hears(struct walk *walk, const struct order_created *created)
{
    static const struct fraud_limits limits = {.threshold = 100,
                                               .amounts = "GBP=500000 *=300000",
                                               .quantity = 500,
                                               .orders = 5,
                                               .countries = "Atlantis"};
    const struct fraud_question question = {
        .type = EVENT_ORDER_CREATED, .order_id = ID, .created = created, .now_us = NOW_US};
    struct fraud_decision decision;

    if (!good(walk, fraud_decide(&decision, &question, &limits, &walk->arena, walk->err)))
        return NULL;
    return tell(walk, decision.publishes, &decision.event);
}

static void mail(struct walk *walk, const struct order_created *created)
{
    AUTO(buf_clear) struct buf out = {0};
    struct contact contact;
    struct letter letter;

    if (!good(walk, contact_open(&contact, created->contact, ID, &walk->road->contact_key,
                                 &walk->arena, walk->err)))
        return;
    letter_write(&letter,
                 &(struct letter_facts){.kind = MAIL_KIND_CONFIRMATION,
                                        .shop = "Tradewind",
                                        .name = contact.name,
                                        .created = created},
                 &walk->arena);
    if (good(walk, mail_write(&out,
                              &(struct mail){.message_id = "1@shop.example",
                                             .from = "shop@shop.example",
                                             .to = arena_view(&walk->arena, contact.email).data,
                                             .subject = letter.subject,
                                             .text = letter.text,
                                             .html = letter.html,
                                             .date_us = NOW_US},
                              walk->err)))
        digest(walk, buf_view(&out));
}

/* --- The whole way -------------------------------------------------------------------------- */

static void receive_stock(struct walk *walk, const struct order_created *created)
{
    for (size_t i = 0; i < created->lines_count; i++) {
        const struct stock_item item = {.sku = created->lines[i].sku, .quantity = 100};
        const struct entry entry = {
            .kind = ENTRY_RECEIVE, .id = item.sku, .items = &item, .item_count = 1};

        good(walk, stock_apply(&walk->stock, &entry, walk->err));
    }
}

static void go(struct walk *walk, size_t lines)
{
    const struct order_created *created = place(walk, lines);
    const void *confirmed;

    if (created == NULL)
        return;
    walk->order.id = ID;
    walk->order.customer_id = created->customer_id;
    walk->order.total_minor = created->total_minor;
    walk->order.currency = created->currency;
    walk->order.created = created;
    receive_stock(walk, created);
    join(walk, EVENT_INVENTORY_RESERVED, stock_hears(walk, EVENT_ORDER_CREATED, created));
    join(walk, EVENT_PAYMENT_AUTHORIZED, money_moves(walk, EVENT_ORDER_CREATED, created));
    confirmed = join(walk, EVENT_FRAUD_CLEARED, fraud_hears(walk, created));
    if (walk->kind != ERR_OK)
        return;
    mail(walk, created);
    join(walk, EVENT_INVENTORY_COMMITTED, stock_hears(walk, EVENT_ORDER_CONFIRMED, confirmed));
    join(walk, EVENT_PAYMENT_CAPTURED, money_moves(walk, EVENT_ORDER_CONFIRMED, created));
    if (walk->kind == ERR_OK && walk->order.progress.state != ORDERS_FULFILLED)
        refused(walk, "it ended otherwise than fulfilled");
}

enum err_kind order_path_walk(uint64_t *digest, const struct road *road, size_t lines,
                              struct err *err)
{
    struct walk walk = {.road = road, .err = err};

    stock_init(&walk.stock);
    go(&walk, lines);
    stock_clear(&walk.stock);
    arena_clear(&walk.arena);
    *digest = walk.digest;
    return walk.kind;
}
