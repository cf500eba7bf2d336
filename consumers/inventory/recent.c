#include "consumers/inventory/recent.h"

#include <stdlib.h>

void recent_init(struct recent *recent, int32_t partitions, const uint64_t *published,
                 size_t max_bytes, size_t most_bytes)
{
    *recent = (struct recent){.max_bytes = max_bytes,
                              .most_bytes = most_bytes,
                              .published = published,
                              .partitions = partitions};
    recent->shards = mem_alloc((size_t)partitions * sizeof *recent->shards);
}

static size_t bytes_of(const struct journal_record *record)
{
    return sizeof(struct recent_record) + record->key.size + record->headers.size +
           record->value.size;
}

static void drop_oldest(struct recent *recent)
{
    struct recent_record *record = recent->oldest;
    struct recent_shard *shard = &recent->shards[record->record.shard];

    recent->oldest = record->newer;
    if (recent->oldest == NULL)
        recent->newest = NULL;
    shard->first = record->next_in_shard;
    if (shard->first == NULL)
        shard->last = NULL;
    if (shard->found == record)
        shard->found = NULL;
    recent->bytes -= bytes_of(&record->record);
    free(record);
}

void recent_forget(struct recent *recent)
{
    while (recent->oldest != NULL)
        drop_oldest(recent);
}

void recent_clear(struct recent *recent)
{
    recent_forget(recent);
    free(recent->shards);
    *recent = (struct recent){0};
}

static struct view copy_bytes(char **room, struct view bytes)
{
    struct view copy = view_of(*room, bytes.size);

    if (bytes.size > 0)
        memcpy(*room, bytes.data, bytes.size);
    *room += bytes.size;
    return copy;
}

static bool is_published(const struct recent *recent, const struct recent_record *record)
{
    return record->record.number <= recent->published[record->record.shard];
}

void recent_add(struct recent *recent, const struct journal_record *record)
{
    struct recent_shard *shard = &recent->shards[record->shard];
    struct recent_record *copy;
    char *room;

    if (shard->last != NULL && record->number != shard->last->record.number + 1)
        recent_forget(recent);
    copy = mem_alloc(bytes_of(record));
    room = (char *)(copy + 1);
    copy->record = (struct journal_record){
        .shard = record->shard,
        .number = record->number,
        .key = copy_bytes(&room, record->key),
        .headers = copy_bytes(&room, record->headers),
        .value = copy_bytes(&room, record->value),
    };
    if (recent->newest != NULL)
        recent->newest->newer = copy;
    else
        recent->oldest = copy;
    recent->newest = copy;
    if (shard->last != NULL)
        shard->last->next_in_shard = copy;
    else
        shard->first = copy;
    shard->last = copy;
    recent->bytes += bytes_of(record);
    while (recent->bytes > recent->most_bytes ||
           (recent->bytes > recent->max_bytes && is_published(recent, recent->oldest)))
        drop_oldest(recent);
}

const struct recent_record *recent_find(struct recent *recent, int32_t shard, uint64_t number)
{
    struct recent_shard *where = &recent->shards[shard];
    struct recent_record *record = where->found;

    if (record == NULL || record->record.number > number)
        record = where->first;
    if (record == NULL || record->record.number > number || where->last->record.number < number)
        return NULL;
    while (record->record.number < number)
        record = record->next_in_shard;
    where->found = record;
    return record;
}
