#include "ops/replay/causes.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/pg_store.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <time.h>

#define WAIT_MS 10000 /* a writer that runs looks at the end of its log each second */
#define LOOK_MS 200

struct causes {
    const struct log_reader *position;
    uint64_t *numbers; /* by its places: the highest that an own event answers */
};

static enum err_kind note_cause(void *context, struct log_place *place,
                                const rd_kafka_message_t *message, struct err *err)
{
    struct causes *causes = context;
    AUTO(buf_clear) struct buf headers = {0};
    struct envelope envelope;
    struct event_ref cause;
    const struct log_place *input;

    (void)err;
    if (message == NULL)
        return ERR_OK;
    kafka_headers_to_block(message, &headers);
    if (envelope_read_block(&envelope, place->topic, buf_view(&headers), NULL) != ERR_OK ||
        !event_ref_read(&cause, envelope.causation_id))
        return ERR_OK;
    input = log_reader_place(causes->position, event_ref_topic(&cause), cause.shard);
    if (input != NULL && causes->numbers[input - causes->position->places] < cause.number)
        causes->numbers[input - causes->position->places] = cause.number;
    return ERR_OK;
}

static enum err_kind read_causes(struct causes *causes, enum topic own, struct err *err)
{
    int64_t reach_s = setting_integer("TRADEWIND_JOURNAL_SECONDS") + PG_JOURNAL_SPAN_S;
    struct log_reader reader;
    enum err_kind kind = log_reader_open_since(&reader, causes->position, own,
                                               clock_utc_us() / 1000 - reach_s * 1000, err);

    if (kind == ERR_OK)
        kind = log_reader_run(&reader, note_cause, causes, err);
    log_reader_close(&reader);
    return kind;
}

/* NULL: none is missing. */
static const struct log_place *find_missing(const struct causes *causes)
{
    for (size_t i = 0; i < causes->position->place_count; i++)
        if (causes->position->places[i].high_water < causes->numbers[i])
            return &causes->position->places[i];
    return NULL;
}

enum err_kind causes_wait(struct log_reader *position, enum topic own,
                          enum err_kind (*move)(void *context, struct err *err), void *context,
                          struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct causes causes = {.position = position,
                            .numbers =
                                arena_array(&arena, position->place_count, sizeof *causes.numbers)};
    int64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    const struct log_place *missing = NULL;
    enum err_kind kind = own != TOPIC_NONE ? read_causes(&causes, own, err) : ERR_OK;

    while (kind == ERR_OK && (missing = find_missing(&causes)) != NULL &&
           clock_monotonic_ms() < until_ms) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
        kind = log_reader_aim_at_ends(position, err);
        if (kind == ERR_OK)
            kind = move(context, err);
    }
    if (kind != ERR_OK || missing == NULL)
        return kind;
    return err_set(err, ERR_RETRY,
                   "%s/%d ends with number %" PRIu64 ", but %s has answered number %" PRIu64
                   " of it: its end was lost, and %s has not sent it again; see that %s runs, then "
                   "try again",
                   topic_name(missing->topic), missing->partition, missing->high_water,
                   topic_writer(own), causes.numbers[missing - position->places],
                   topic_writer(missing->topic), topic_writer(missing->topic));
}
