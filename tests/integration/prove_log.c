/* A relay of one shard whose journal lies in memory and is to be forgotten.
 *
 *     prove_log TOPIC LAST SINCE_S [GONE]
 *
 * The journal holds numbers 1..LAST but for GONE, written SINCE_S seconds ago. Ends with 0 as soon
 * as the relay has seen them in the topic, with 1 after half a minute. */
#include "runtime/clock.h"
#include "runtime/headers.h"
#include "runtime/relay.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct journal {
    uint64_t last, gone;
    int64_t since_ms;
    atomic_bool forgotten;
};

static enum err_kind last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                  struct err *err)
{
    const struct journal *journal = self;

    (void)err;
    memset(numbers, 0, (size_t)partitions * sizeof *numbers);
    numbers[0] = journal->last;
    return ERR_OK;
}

static enum err_kind note_published(void *self, const uint64_t *numbers, const int64_t *offsets,
                                    int32_t partitions, struct err *err)
{
    (void)self, (void)numbers, (void)offsets, (void)partitions, (void)err;
    return ERR_OK;
}

static enum err_kind read_journal(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                                  void (*each)(void *context, const struct journal_record *record),
                                  void *context, struct err *err)
{
    const struct journal *journal = self;
    AUTO(buf_clear) struct buf headers = {0};

    (void)max_bytes, (void)err;
    for (uint64_t number = from; shard == 0 && number <= journal->last; number++) {
        char id[64], sequence[32];

        if (number == journal->gone)
            continue;
        snprintf(id, sizeof id, "hole/0/%" PRIu64, number);
        snprintf(sequence, sizeof sequence, "%" PRIu64, number);
        buf_clear(&headers);
        headers_start(&headers);
        headers_append(&headers, "ce_id", view_str(id));
        headers_append(&headers, "ce_sequence", view_str(sequence));
        each(context, &(struct journal_record){.shard = 0,
                                               .number = number,
                                               .key = view_str("key"),
                                               .headers = buf_view(&headers),
                                               .value = view_str(sequence)});
    }
    return ERR_OK;
}

static enum err_kind maintain(void *self, journal_prove_fn *prove, void *context, struct err *err)
{
    struct journal *journal = self;
    struct journal_range range = {.shard = 0, .first = 1, .last = journal->last};

    (void)err;
    prove(context, &range, 1, journal->since_ms);
    if (range.seen >= range.last)
        atomic_store(&journal->forgotten, true);
    return ERR_OK;
}

static enum err_kind copy_nothing(void *self,
                                  bool (*each)(void *context, const struct dead_letter *dead),
                                  void *context, struct err *err)
{
    (void)self, (void)each, (void)context, (void)err;
    return ERR_OK;
}

static void stop(void *context, const struct err *err)
{
    (void)context;
    fprintf(stderr, "%s\n", err->text);
    exit(2);
}

int main(int count, char **words)
{
    struct journal journal = {0};
    struct store store = {
        .self = &journal,
        .last_numbers = last_numbers,
        .read = read_journal,
        .published = last_numbers,
        .note_published = note_published,
        .maintain = maintain,
        .copy_dead_letters = copy_nothing,
    };
    struct relay_options options = {
        .brokers = getenv("TRADEWIND_KAFKA"),
        .part = "hole",
        .instance = "hole-1",
        .partitions = 1,
        .shared_topic = "shop.ops.v1",
        .shared_source = "ops/hole",
        .follows_lead = true,
        .upkeep_ms = 300,
        .store = &store,
        .stop = stop,
    };
    struct relay *relay;
    struct err err;

    if (count < 4)
        return 2;
    options.topic = words[1];
    journal.last = strtoull(words[2], NULL, 10);
    journal.since_ms = clock_utc_us() / 1000 - strtoll(words[3], NULL, 10) * 1000;
    journal.gone = count > 4 ? strtoull(words[4], NULL, 10) : 0;
    if (relay_start(&relay, &options, &err) != ERR_OK)
        stop(NULL, &err);
    relay_lead(relay, true);
    for (int i = 0; i < 300 && !atomic_load(&journal.forgotten); i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    relay_stop(relay, 5000);
    return atomic_load(&journal.forgotten) ? 0 : 1;
}
