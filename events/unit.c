#include "events/host.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/log.h"
#include "runtime/murmur2.h"

#include <assert.h>
#include <stdlib.h>

/* --- What the hooks see --------------------------------------------------------------------- */

struct host *unit_host(struct unit *unit)
{
    return unit->host;
}

struct pg *unit_pg(struct unit *unit)
{
    return unit->host->store.session(unit->host->store.self);
}

struct arena *unit_arena(struct unit *unit)
{
    return unit->arena;
}

size_t unit_keys(struct unit *unit, const struct view **keys)
{
    *keys = unit->keys;
    return unit->key_count;
}

struct pg_column *unit_keys_column(struct unit *unit)
{
    struct pg_column *column = &unit->host->keys_column;

    pg_column_start(column, PG_TEXT);
    for (size_t i = 0; i < unit->key_count; i++)
        pg_column_bytes(column, unit->keys[i]);
    return column;
}

/* The place of key among the sorted keys; key_count when it is none. */
static size_t key_place(const struct unit *unit, struct view key)
{
    size_t low = 0, high = unit->key_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(unit->keys[middle], key);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return unit->key_count;
}

void *unit_state(struct unit *unit, struct view key)
{
    size_t place = key_place(unit, key);

    return place < unit->key_count ? unit_state_at(unit, place) : NULL;
}

void *unit_state_at(struct unit *unit, size_t i)
{
    return unit->states + i * unit->host->part->state_bytes;
}

size_t unit_events(struct unit *unit, const struct event **events)
{
    *events = unit->events;
    return unit->event_count;
}

size_t unit_commands(struct unit *unit, struct command *const **commands)
{
    *commands = unit->commands;
    return unit->command_count;
}

int64_t unit_now_us(const struct unit *unit)
{
    return unit->now_us;
}

uint64_t unit_last_number(const struct unit *unit)
{
    return unit->last_number;
}

struct view unit_last_value(const struct unit *unit)
{
    return unit->last_value;
}

/* --- Publishing ----------------------------------------------------------------------------- */

static uint64_t *last_number_of(struct commit *commit, int32_t shard)
{
    for (size_t i = 0; i < commit->shard_count; i++)
        if (commit->shards[i] == shard)
            return &commit->last_numbers[i];
    return NULL;
}

/* An event that we made and cannot write is a mistake of ours: go no further. */
static void cannot_emit(struct view key, const struct err *err)
{
    LOG_ERROR("emit", "an event of our own cannot be written", log_view("key", key), log_err(err));
    abort();
}

/* Where an event goes: the shard of the store, and what its envelope says. */
struct destination {
    int32_t shard;
    int32_t partition;
    const char *source;
};

static struct destination destination_of(const struct host *host, enum event_type type,
                                         struct view key)
{
    int32_t partition = host_shard_of(host, key);

    if (event_topic(type) == TOPIC_OPS)
        return (struct destination){host->partitions, partition, host->ops_source};
    return (struct destination){partition, partition, host->source};
}

static struct journal_record *next_record(struct unit *unit)
{
    struct commit *commit = &unit->commit;

    commit->records = arena_room(unit->arena, commit->records, commit->record_count,
                                 &commit->record_capacity, sizeof *commit->records);
    return &commit->records[commit->record_count++];
}

struct view unit_emit(struct unit *unit, enum event_type type, const void *data, struct view key,
                      const struct event *cause)
{
    const struct destination to = destination_of(unit->host, type, key);
    uint64_t *last_number = last_number_of(&unit->commit, to.shard);
    struct envelope envelope = {
        .type = type,
        .source = view_str(to.source),
        .shard = to.partition,
        .time_us = unit->now_us,
        .subject = key,
        .causation_id = cause != NULL ? cause->envelope->id : VIEW_NONE,
        .correlation_id = cause != NULL ? cause->envelope->correlation_id : VIEW_NONE,
        .traceparent = cause != NULL ? cause->envelope->traceparent : VIEW_NONE,
    };
    struct buf bytes = {0};
    struct journal_record *record;
    char id[ENVELOPE_ID_SIZE];
    struct err err;
    size_t header_size;

    assert(last_number != NULL && (unit->current != NULL || unit->conclude != NULL));
    envelope.number = ++*last_number;
    if (envelope_write(&bytes, &envelope, &err) != ERR_OK)
        cannot_emit(key, &err);
    header_size = bytes.size;
    if (event_encode(&bytes, type, data, unit->host->ids, &err) != ERR_OK)
        cannot_emit(key, &err);
    record = next_record(unit);
    *record = (struct journal_record){
        .shard = to.shard,
        .number = envelope.number,
        .key = arena_view(unit->arena, key),
        .headers = arena_view(unit->arena, view_of(bytes.data, header_size)),
        .value =
            arena_view(unit->arena, view_of(bytes.data + header_size, bytes.size - header_size)),
    };
    buf_clear(&bytes);
    unit->last_number = envelope.number;
    unit->last_value = record->value;
    return arena_view(unit->arena,
                      view_of(id, envelope_id(id, envelope.source, to.partition, envelope.number)));
}

void unit_record(struct unit *unit, const struct action *action)
{
    const char *part = unit->host->part->name;
    const struct ops_acted event = {
        .part = view_str(part),
        .action = view_str(action->name),
        .subject = action->subject,
        .actor = view_str(action->operation->actor),
        .reason = view_str(action->operation->reason),
        .before = action->before,
        .after = action->after,
        .occurred_at = unit->now_us,
    };

    unit_emit(unit, EVENT_OPS_ACTED, &event, view_str(part), NULL);
}

/* --- Planning ------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

static size_t count_keys(const struct unit *unit)
{
    size_t count = 0;

    for (size_t i = 0; i < unit->item_count; i++) {
        const struct item *item = &unit->items[i];

        count += item->event.type != EVENT_NONE;
        if (item->command != NULL)
            count += (item->command->key.data != NULL) + item->command->more_key_count;
    }
    return count;
}

static void plan_keys(struct unit *unit)
{
    size_t count = 0;

    unit->keys = arena_array(unit->arena, count_keys(unit) + 1, sizeof *unit->keys);
    for (size_t i = 0; i < unit->item_count; i++) {
        const struct item *item = &unit->items[i];

        if (item->event.type != EVENT_NONE)
            unit->keys[count++] = item->envelope.subject;
        if (item->command == NULL)
            continue;
        if (item->command->key.data != NULL)
            unit->keys[count++] = item->command->key;
        for (size_t j = 0; j < item->command->more_key_count; j++)
            unit->keys[count++] = item->command->more_keys[j];
    }
    if (count > 0)
        qsort(unit->keys, count, sizeof *unit->keys, compare_keys);
    for (size_t i = 0; i < count; i++)
        if (unit->key_count == 0 || !view_equal(unit->keys[unit->key_count - 1], unit->keys[i]))
            unit->keys[unit->key_count++] = unit->keys[i];
    unit->states = arena_array(unit->arena, unit->key_count + 1, unit->host->part->state_bytes);
    unit->commit.keys = unit->keys;
    unit->commit.key_count = unit->key_count;
    unit->commit.key_is_parked = arena_array(unit->arena, unit->key_count + 1, sizeof(bool));
}

static bool is_recorded(const struct unit *unit)
{
    bool is = unit->operation != NULL;

    for (size_t i = 0; i < unit->command_count; i++)
        is = is || unit->commands[i]->operation != NULL;
    return is;
}

static void plan_shards(struct unit *unit)
{
    struct commit *commit = &unit->commit;
    size_t shards = (size_t)unit->host->partitions + 1; /* the last: what operators do */
    bool *wanted = arena_array(unit->arena, shards, sizeof *wanted);

    commit->shards = arena_array(unit->arena, shards, sizeof *commit->shards);
    commit->last_numbers = arena_array(unit->arena, shards, sizeof *commit->last_numbers);
    for (size_t i = 0; i < unit->key_count && unit->host->part->publishes != TOPIC_NONE; i++)
        wanted[host_shard_of(unit->host, unit->keys[i])] = true;
    wanted[shards - 1] = is_recorded(unit);
    for (size_t shard = 0; shard < shards; shard++)
        if (wanted[shard])
            commit->shards[commit->shard_count++] = (int32_t)shard;
}

static int compare_marks(const void *a, const void *b)
{
    const struct mark *left = a, *right = b;
    int order = strcmp(left->topic, right->topic);

    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

/* The last record of each partition in the unit says where it stands after the commit. */
static void plan_marks(struct unit *unit)
{
    struct commit *commit = &unit->commit;

    commit->marks = arena_array(unit->arena, unit->item_count + 1, sizeof *commit->marks);
    for (size_t i = 0; i < unit->item_count; i++) {
        const struct intake_record *record = unit->items[i].record;
        size_t place = 0;
        uint64_t first;

        if (record == NULL)
            continue;
        while (place < commit->mark_count &&
               (commit->marks[place].partition != record->after.partition ||
                strcmp(commit->marks[place].topic, record->after.topic) != 0))
            place++;
        first = place < commit->mark_count ? commit->marks[place].first : 0;
        commit->marks[place] = record->after;
        commit->marks[place].first = first > 0 ? first : record->number;
        if (place == commit->mark_count)
            commit->mark_count++;
    }
    if (commit->mark_count > 0)
        qsort(commit->marks, commit->mark_count, sizeof *commit->marks, compare_marks);
}

static void plan_items(struct unit *unit)
{
    struct event *events = arena_array(unit->arena, unit->item_count + 1, sizeof *events);
    int64_t *redriven = arena_array(unit->arena, unit->item_count + 1, sizeof *redriven);

    unit->commands = arena_array(unit->arena, unit->item_count + 1, sizeof *unit->commands);
    for (size_t i = 0; i < unit->item_count; i++) {
        struct item *item = &unit->items[i];

        if (item->event.type != EVENT_NONE)
            events[unit->event_count++] = item->event;
        if (item->command != NULL)
            unit->commands[unit->command_count++] = item->command;
        if (item->redriven != NULL)
            redriven[unit->commit.redriven_count++] = item->redriven->id;
    }
    unit->events = events;
    unit->commit.redriven = redriven;
}

void unit_plan(struct unit *unit)
{
    unit->commit.arena = unit->arena;
    plan_items(unit);
    plan_keys(unit);
    plan_shards(unit);
    plan_marks(unit);
}

/* --- Dead letters --------------------------------------------------------------------------- */

bool *unit_key_parked(struct unit *unit, struct view key)
{
    size_t place = key_place(unit, key);

    return place < unit->key_count ? &unit->commit.key_is_parked[place] : NULL;
}

static bool is_dead_again(const struct commit *commit, int64_t id)
{
    for (size_t i = 0; i < commit->dead_letter_count; i++)
        if (commit->dead_letters[i].id == id)
            return true;
    return false;
}

void unit_plan_removed(struct unit *unit)
{
    struct commit *commit = &unit->commit;

    commit->removed = arena_array(unit->arena, commit->redriven_count + 1, sizeof(int64_t));
    for (size_t i = 0; i < commit->redriven_count; i++)
        if (!is_dead_again(commit, commit->redriven[i]))
            commit->removed[commit->removed_count++] = commit->redriven[i];
}

void unit_add_dead_letter(struct unit *unit, struct item *item, bool tried)
{
    struct commit *commit = &unit->commit;
    struct dead_letter *dead;

    if (commit->dead_letters == NULL) {
        commit->dead_letter_capacity = unit->item_count;
        commit->dead_letters =
            arena_array(unit->arena, unit->item_count, sizeof *commit->dead_letters);
    }
    dead = &commit->dead_letters[commit->dead_letter_count++];
    if (item->redriven != NULL) {
        *dead = *item->redriven;
        dead->attempts += tried;
        if (tried)
            dead->copied = false;
    } else {
        const rd_kafka_message_t *message = item->record->message;
        struct buf headers = {0};

        kafka_headers_to_block(message, &headers);
        *dead = (struct dead_letter){
            .topic = item->record->after.topic,
            .partition = item->record->partition,
            .offset = message->offset,
            .number = item->record->number,
            .time_ms = rd_kafka_message_timestamp(message, NULL),
            .attempts = tried,
            .key = view_of(message->key, message->key_len),
            .value = view_of(message->payload, message->len),
            .headers = arena_view(unit->arena, buf_view(&headers)),
        };
        buf_clear(&headers);
    }
    dead->reason = item->dead_reason;
    dead->error = item->error;
}
