/* Fuzz: what a payment provider answers. The first byte says to which call and with which status;
 * the rest is the response. What counts as an answer can be told as an event and be kept. */
#include "consumers/payment/payment_provider.h"
#include "events/codec.h"
#include "events/events_generated.h"
#include "tests/fuzz/fuzz.h"

static const int STATUSES[] = {200, 201, 402, 404, 500, 0};
#define STATUS_COUNT (sizeof STATUSES / sizeof STATUSES[0])

static void tell(enum event_type type, const void *event)
{
    AUTO(buf_clear) struct buf value = {0};
    struct err err = {0};

    HOLDS(event_encode(&value, type, event, fuzz_schema_ids(), &err) == ERR_OK, err.text);
}

static void look_at_answer(enum payment_call operation, int status,
                           const struct provider_answer *answer)
{
    static const struct view ORDER = VIEW_INIT("01ARYZ6S410000000000000000"),
                             GBP = VIEW_INIT("GBP"), SANDBOX = VIEW_INIT("sandbox");

    HOLDS(payment_provider_is_id(answer->ref), "an answer without an id");
    HOLDS(answer->code.data != NULL && view_is_utf8(answer->code), "a code that is no text");
    HOLDS(memchr(answer->code.data, 0, answer->code.size) == NULL, "a code no database keeps");
    if (answer->says == PROVIDER_YES) {
        HOLDS(status == 200 || status == 201, "a yes by another status");
        tell(EVENT_PAYMENT_AUTHORIZED, &(struct payment_authorized){.order_id = ORDER,
                                                                    .amount_minor = 1,
                                                                    .currency = GBP,
                                                                    .provider = SANDBOX,
                                                                    .provider_ref = answer->ref});
        return;
    }
    HOLDS(status == 402, "a no by another status");
    HOLDS(operation == CALL_AUTHORIZE || operation == CALL_CAPTURE, "a no that nobody can take");
    tell(EVENT_PAYMENT_DECLINED, &(struct payment_declined){.order_id = ORDER,
                                                            .currency = GBP,
                                                            .provider = SANDBOX,
                                                            .provider_ref = answer->ref,
                                                            .decline_code = answer->code});
    tell(EVENT_PAYMENT_FAILED, &(struct payment_failed){.order_id = ORDER,
                                                        .currency = GBP,
                                                        .provider = SANDBOX,
                                                        .failure_code = answer->code});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    enum payment_call operation;
    struct provider_answer answer;
    struct err err = {0};
    int status;

    if (size == 0)
        return -1;
    operation = (enum payment_call)(CALL_AUTHORIZE + data[0] / STATUS_COUNT % (CALL_COUNT - 1));
    status = STATUSES[data[0] % STATUS_COUNT];
    answer = payment_provider_read(operation, status, view_of(data + 1, size - 1), &arena, &err);
    if (answer.says == PROVIDER_NOTHING)
        HOLDS(err.kind == ERR_RETRY && err.text[0] != '\0', "no reason");
    else
        look_at_answer(operation, status, &answer);
    return 0;
}
