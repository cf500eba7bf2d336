#include "consumers/payment/payment_provider.h"

#include "runtime/json.h"

#include <assert.h>

#define ID_BYTES_MAX 64

bool payment_provider_is_id(struct view text)
{
    if (text.size < 1 || text.size > ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

void payment_provider_url(struct buf *out, const char *base, const struct owed_call *call)
{
    buf_append_str(out, base);
    switch (call->operation) {
    case CALL_AUTHORIZE:
        buf_append_str(out, "/v1/authorizations");
        return;
    case CALL_CAPTURE:
    case CALL_VOID:
        buf_printf(out, "/v1/authorizations/%.*s/%s", VIEW_PRINT(call->ref),
                   payment_call_name(call->operation));
        return;
    case CALL_REFUND:
        buf_printf(out, "/v1/captures/%.*s/refund", VIEW_PRINT(call->ref));
        return;
    case CALL_NONE:
    case CALL_COUNT:
        break;
    }
    assert(!"a call has an operation");
}

void payment_provider_key(struct buf *out, const struct owed_call *call)
{
    buf_printf(out, "%s:%.*s", payment_call_name(call->operation), VIEW_PRINT(call->order_id));
}

void payment_provider_body(struct buf *out, const struct owed_call *call)
{
    struct json_writer writer = {.out = out};

    json_object_start(&writer);
    if (call->operation == CALL_AUTHORIZE) {
        json_member_text(&writer, "merchant_ref", call->order_id);
        json_member_text(&writer, "payment_token", call->payment_token);
    }
    if (call->operation != CALL_VOID) {
        json_member_int64(&writer, "amount_minor", call->amount_minor);
        json_member_text(&writer, "currency", call->currency);
    }
    json_object_end(&writer);
}

/* The status that the provider gives an operation that it did. */
static const char *done_status(enum payment_call operation)
{
    static const char *const statuses[CALL_COUNT] = {
        [CALL_NONE] = "",       [CALL_AUTHORIZE] = "authorized", [CALL_CAPTURE] = "captured",
        [CALL_VOID] = "voided", [CALL_REFUND] = "refunded",
    };

    return statuses[operation];
}

static struct view text_of(const struct json *object, const char *name)
{
    const struct json *member = json_member(object, name);

    return member != NULL && member->kind == JSON_STRING ? member->text : VIEW_NONE;
}

static bool may_say_no(enum payment_call operation)
{
    return operation == CALL_AUTHORIZE || operation == CALL_CAPTURE;
}

struct provider_answer payment_provider_read(enum payment_call operation, int status,
                                             struct view response, struct arena *arena,
                                             struct err *err)
{
    const char *name = payment_call_name(operation);
    struct provider_answer answer = {.says = PROVIDER_NOTHING};
    struct json *body;
    bool is_yes = status == 200 || status == 201;
    bool is_no = status == 402 && may_say_no(operation);

    if (!is_yes && !is_no) {
        err_set(err, ERR_RETRY, "provider answered %s with %d, want 200, 201%s", name, status,
                may_say_no(operation) ? " or 402" : "");
        return answer;
    }
    if (json_parse(&body, response, arena, NULL) != ERR_OK) {
        err_set(err, ERR_RETRY, "provider answered %s with %d and no JSON", name, status);
        return answer;
    }
    answer.ref = text_of(body, "id");
    answer.code = text_of(body, "code");
    if (!payment_provider_is_id(answer.ref)) {
        err_set(err, ERR_RETRY,
                "provider answered %s with %d and id '%.*s', want letters and digits", name, status,
                VIEW_PRINT(answer.ref));
        return answer;
    }
    if (is_yes && !view_equals(text_of(body, "status"), done_status(operation))) {
        err_set(err, ERR_RETRY, "provider answered %s with %d and status '%.*s', want '%s'", name,
                status, VIEW_PRINT(text_of(body, "status")), done_status(operation));
        return answer;
    }
    /* A no is a no, whatever it says; what no database keeps as text is not kept. */
    if (answer.code.size == 0 || memchr(answer.code.data, 0, answer.code.size) != NULL)
        answer.code = VIEW_LITERAL("");
    answer.says = is_yes ? PROVIDER_YES : PROVIDER_NO;
    return answer;
}
