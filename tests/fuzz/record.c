/* Fuzz: what stands around a value in Kafka: header blocks, and records of the control topic. The
 * first byte says which. What is accepted comes back the same when it is written again. */
#include "events/envelope.h"
#include "runtime/control.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_headers(struct view block)
{
    AUTO(buf_clear) struct buf again = {0};
    struct envelope envelope, read;

    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        struct err err = {0};
        enum err_kind kind = envelope_read_block(&envelope, topic, block, &err);

        if (kind != ERR_OK) {
            fuzz_refused(kind, &err);
            continue;
        }
        HOLDS(envelope_write(&again, &envelope, &err) == ERR_OK, err.text);
        HOLDS(envelope_read_block(&read, topic, buf_view(&again), &err) == ERR_OK, err.text);
        HOLDS(read.number == envelope.number && read.time_us == envelope.time_us, "number or time");
        HOLDS(view_equal(read.id, envelope.id) && view_equal(read.subject, envelope.subject), "id");
    }
}

static void fuzz_control(struct view text)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf once = {0}, twice = {0};
    struct control control;
    struct err err = {0};
    enum err_kind kind = control_parse(&control, text, &arena, &err);

    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return;
    }
    HOLDS(control.source.size > 0 && control.from.size > 0, "nobody speaks");
    HOLDS(control.type == CONTROL_PUBLISHED || control.count == 1, "not one shard");
    control_write(&once, &control);
    HOLDS(control_parse(&control, buf_view(&once), &arena, &err) == ERR_OK, err.text);
    control_write(&twice, &control);
    HOLDS(view_equal(buf_view(&once), buf_view(&twice)), "what was written is read as another");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'h')
        fuzz_headers(view_of(data + 1, size - 1));
    else
        fuzz_control(view_of(data + 1, size - 1));
    return 0;
}
