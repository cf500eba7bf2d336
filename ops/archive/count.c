/* What the manifest says of a partition, counted record by record. */
#include "events/envelope.h"
#include "ops/archive/archive.h"

#include <sodium.h>

#include <inttypes.h>
#include <stdlib.h>

/* --- The chain -------------------------------------------------------------------------------- */

struct archive_link archive_link_after(const struct archive_link *before, struct view bytes)
{
    crypto_hash_sha256_state state;
    struct archive_link link;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, before->hash, sizeof before->hash);
    crypto_hash_sha256_update(&state, (const unsigned char *)bytes.data, bytes.size);
    crypto_hash_sha256_final(&state, link.hash);
    return link;
}

bool archive_link_equal(const struct archive_link *a, const struct archive_link *b)
{
    return memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

void archive_hex(char *out, const uint8_t *bytes, size_t size)
{
    sodium_bin2hex(out, 2 * size + 1, bytes, size);
}

/* The mark between blocks has to be unlikely in records, and the same in each run. */
struct container_head archive_head(const struct archive_place *place,
                                   const struct archive_link *before)
{
    struct container_head head = {.topic = place->topic, .partition = place->partition};

    memcpy(head.sync, before->hash, sizeof head.sync);
    return head;
}

/* --- Counting --------------------------------------------------------------------------------- */

void archive_count_start(struct archive_count *count, const char *topic, int32_t partition)
{
    AUTO(buf_clear) struct buf name = {0};
    static const struct archive_link nothing;

    *count = (struct archive_count){.first_offset = -1, .last_offset = -1};
    buf_printf(&name, "%s/%" PRId32, topic, partition);
    count->link = count->before = archive_link_after(&nothing, buf_view(&name));
}

void archive_count_copy(struct archive_count *out, const struct archive_count *count)
{
    struct archive_numbers *numbers =
        mem_grow(out->numbers, count->number_count + 1, sizeof *numbers);

    *out = *count;
    out->numbers = numbers;
    if (count->number_count > 0)
        memcpy(numbers, count->numbers, count->number_count * sizeof *numbers);
}

void archive_count_clear(struct archive_count *count)
{
    free(count->numbers);
    count->numbers = NULL;
    count->number_count = 0;
}

static struct archive_numbers *numbers_of(struct archive_count *count,
                                          const struct envelope *envelope, struct arena *arena)
{
    for (size_t i = count->number_count; i-- > 0;)
        if (count->numbers[i].shard == envelope->shard &&
            view_equal(count->numbers[i].source, envelope->source))
            return &count->numbers[i];
    count->numbers = mem_grow(count->numbers, count->number_count + 1, sizeof *count->numbers);
    count->numbers[count->number_count] =
        (struct archive_numbers){.source = arena_view(arena, envelope->source),
                                 .shard = envelope->shard,
                                 .first = envelope->number};
    return &count->numbers[count->number_count++];
}

/* A record that is no event of ours is kept like any other, and has no number. */
static void count_number(struct archive_count *count, const struct archived *record,
                         const char *topic, struct arena *arena)
{
    enum topic of = topic_from_name(topic);
    struct archived_headers headers;
    struct archive_numbers *numbers;
    struct envelope envelope;

    if (of == TOPIC_NONE)
        return;
    archived_headers(&headers, record);
    if (envelope_read(&envelope, of, archived_next_header, &headers, NULL) != ERR_OK)
        return;
    numbers = numbers_of(count, &envelope, arena);
    numbers->records++;
    if (envelope.number > numbers->last)
        numbers->last = envelope.number;
    if (envelope.number < numbers->first)
        numbers->first = envelope.number;
}

enum err_kind archive_count_add(struct archive_count *count, const struct archived *record,
                                const char *topic, struct arena *arena, struct err *err)
{
    if (record->offset <= count->last_offset)
        return err_set(err, ERR_REJECT, "offset %" PRId64 " comes behind %" PRId64, record->offset,
                       count->last_offset);
    if (count->records++ == 0)
        count->first_offset = record->offset;
    count->last_offset = record->offset;
    count->before = count->link;
    count->link = archive_link_after(&count->before, record->bytes);
    count_number(count, record, topic, arena);
    return ERR_OK;
}
