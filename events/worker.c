/* The worker: takes all that waits, makes one unit of work of it, commits, and does it again.
 *
 * A unit that cannot be stored because of its data is cut in halves until what is to blame is
 * alone; that is set aside. One that failed for any other reason is made again, after the positions
 * were read anew: what the lost answer had committed is not applied twice. */
#include "events/host.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 100
#define LEAVE_HOOK_MS 3000
/* After a burst, what malloc keeps goes back to the system. */
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 1000

static struct metric units_total =
    METRIC(METRIC_COUNTER, "tradewind_units_total", "Units of work committed");
static struct metric events_total =
    METRIC(METRIC_COUNTER, "tradewind_events_applied_total", "Input events applied");
static struct metric commands_total =
    METRIC(METRIC_COUNTER, "tradewind_commands_total", "Commands carried out");
static struct metric published_total = METRIC(METRIC_COUNTER, "tradewind_events_committed_total",
                                              "Events of the part's own that were committed");
static struct metric dead_total = METRIC(METRIC_COUNTER, "tradewind_dead_letters_total",
                                         "Records set aside, those parked behind them included");
static struct metric retries_total =
    METRIC(METRIC_COUNTER, "tradewind_unit_retries_total", "Units that were made again");
static struct metric unit_time =
    METRIC(METRIC_HISTOGRAM, "tradewind_unit_seconds", "From taking a unit to its commit");

/* --- The inbox ------------------------------------------------------------------------------ */

void inbox_init(struct inbox *inbox)
{
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->last = &inbox->first;
}

bool host_submit(struct host *host, struct command *command)
{
    struct inbox *inbox = &host->inbox;
    uint64_t one = 1;
    bool taken;

    pthread_mutex_lock(&inbox->lock);
    taken = !inbox->closed && inbox->count < INBOX_MAX;
    if (taken) {
        command->next = NULL;
        *inbox->last = command;
        inbox->last = &command->next;
        inbox->count++;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (taken && write(host->wake_fd, &one, sizeof one) < 0)
        LOG_DEBUG("wake", "the worker wakes by itself");
    return taken;
}

static size_t inbox_take(struct inbox *inbox, struct command **commands, size_t max)
{
    size_t count = 0;

    pthread_mutex_lock(&inbox->lock);
    while (count < max && inbox->first != NULL) {
        commands[count++] = inbox->first;
        inbox->first = inbox->first->next;
        inbox->count--;
    }
    if (inbox->first == NULL)
        inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

/* The list is the caller's. */
static void refuse_all(struct command *commands, const char *why)
{
    struct err err;

    err_set(&err, ERR_RETRY, "%s", why);
    for (struct command *command = commands, *next; command != NULL; command = next) {
        next = command->next;
        command->done(command, ERR_RETRY, &err);
    }
}

void inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    pthread_mutex_unlock(&inbox->lock);
    refuse_all(inbox->first, "this instance is leaving");
    inbox->first = NULL;
}

/* While a unit cannot be stored, who waits behind it is answered in time all the same. */
static void inbox_expire(struct inbox *inbox, int64_t now_ms)
{
    struct command *expired = NULL, **last_expired = &expired;

    pthread_mutex_lock(&inbox->lock);
    for (struct command **place = &inbox->first; *place != NULL;) {
        struct command *command = *place;

        if (!command_is_expired(command, now_ms)) {
            place = &command->next;
            continue;
        }
        *place = command->next;
        inbox->count--;
        *last_expired = command;
        last_expired = &command->next;
        command->next = NULL;
    }
    inbox->last = &inbox->first;
    while (*inbox->last != NULL)
        inbox->last = &(*inbox->last)->next;
    pthread_mutex_unlock(&inbox->lock);
    refuse_all(expired, NOT_IN_TIME);
}

/* --- Looking at a record -------------------------------------------------------------------- */

struct header_cursor {
    rd_kafka_headers_t *headers;
    size_t next;
};

static bool next_header(void *context, struct header *header)
{
    struct header_cursor *cursor = context;
    const char *name;
    const void *value;
    size_t size;

    if (cursor->headers == NULL ||
        rd_kafka_header_get_all(cursor->headers, cursor->next, &name, &value, &size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    cursor->next++;
    header->name = view_str(name);
    header->value = view_of(value, size);
    return true;
}

static int32_t schema_id_of_record(const struct intake_record *record)
{
    return event_schema_id(view_of(record->message->payload, record->message->len));
}

static enum err_kind decode(struct host *host, struct item *item, struct view value,
                            struct err *err)
{
    return event_decode(&item->event.type, &item->event.data, value, host->ids, &host->arena, err);
}

enum err_kind worker_read_value(struct host *host, struct item *item, int32_t partition,
                                struct view key, struct view value, struct err *err)
{
    enum err_kind kind;

    if (item->envelope.shard != partition)
        return err_set(err, ERR_REJECT, "ce_id: shard %d in partition %d", item->envelope.shard,
                       partition);
    if (!view_equal(item->envelope.subject, key))
        return err_set(err, ERR_REJECT, "ce_subject: not the record's key");
    kind = decode(host, item, value, err);
    if (kind == ERR_RETRY && (item->redriven || unknown_may_look(host, event_schema_id(value))) &&
        schema_ids_refresh(host->ids, event_schema_id(value), NULL) == ERR_OK)
        kind = decode(host, item, value, err);
    if (kind != ERR_OK)
        return kind;
    if (item->event.type != item->envelope.type)
        return err_set(err, ERR_REJECT, "the value is a %s, ce_type says %s",
                       event_type_name(item->event.type), event_type_name(item->envelope.type));
    item->event.shard = partition;
    return ERR_OK;
}

static enum err_kind read_record(struct host *host, const struct intake_record *record,
                                 struct item *item, struct err *err)
{
    const rd_kafka_message_t *message = record->message;
    enum topic topic = host->part->inputs[record->topic];
    struct header_cursor cursor = {0};
    enum err_kind kind;

    if (rd_kafka_message_headers(message, &cursor.headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        cursor.headers = NULL;
    kind = envelope_read(&item->envelope, topic, next_header, &cursor, err);
    return kind != ERR_OK ? kind
                          : worker_read_value(host, item, record->partition,
                                              view_of(message->key, message->key_len),
                                              view_of(message->payload, message->len), err);
}

enum intake_answer worker_look(void *context, struct intake_record *record)
{
    struct host *host = context;
    struct item *item = arena_alloc(&host->arena, sizeof *item);
    struct err err;
    bool given_up = false;
    enum err_kind kind = read_record(host, record, item, &err);

    if (kind == ERR_RETRY && record->number > 0)
        given_up = unknown_is_given_up(host, schema_id_of_record(record));
    if (kind == ERR_RETRY && record->number > 0 && !record->waited && !given_up)
        return INTAKE_WAIT;
    item->record = record;
    record->decoded = item;
    if (kind == ERR_OK)
        return INTAKE_TAKE;
    if (record->number > 0 && !record->last_chance && !given_up)
        return INTAKE_ASK_AGAIN;
    if (kind == ERR_RETRY && record->number > 0)
        unknown_give_up(host, schema_id_of_record(record));
    item->event.type = EVENT_NONE;
    item->error = arena_strdup(&host->arena, err.text);
    item->dead_reason = record->number == 0 ? DEAD_NO_NUMBER
                        : kind == ERR_RETRY ? DEAD_UNKNOWN_SCHEMA
                                            : DEAD_UNDECODABLE;
    return INTAKE_TAKE;
}

/* --- One unit ------------------------------------------------------------------------------- */

static bool is_host_command(const struct command *command)
{
    return command->kind < 0;
}

static void set_aside(struct unit *unit, struct item *item, enum dead_reason reason,
                      const char *error)
{
    bool *parked;

    item->dead_reason = reason;
    item->error = arena_strdup(&unit->host->arena, error);
    parked = unit_key_parked(unit, item->envelope.subject);
    if (parked != NULL && item->event.type != EVENT_NONE)
        *parked = true;
    unit_add_dead_letter(unit, item, reason != DEAD_PARKED);
}

/* A record that cannot be read: what comes later for its key in this unit waits behind it, as what
 * comes in later units does. */
static void set_unreadable_aside(struct unit *unit, struct item *item)
{
    uint64_t number = item->redriven != NULL ? item->redriven->number : item->record->number;
    struct view key = item->redriven != NULL
                          ? item->redriven->key
                          : view_of(item->record->message->key, item->record->message->key_len);
    bool *parked = number > 0 ? unit_key_parked(unit, key) : NULL;
    bool is_behind = item->redriven != NULL && parked != NULL && *parked;

    if (parked != NULL)
        *parked = true;
    unit_add_dead_letter(unit, item, !is_behind);
}

static void react_to(struct unit *unit, struct item *item)
{
    const bool *parked = unit_key_parked(unit, item->envelope.subject);
    struct err err = {0};

    if (parked != NULL && *parked) {
        set_aside(unit, item, DEAD_PARKED, "an earlier record of this key is a dead letter");
        return;
    }
    if (unit->host->part->react(unit, &item->event, &err) != ERR_OK)
        set_aside(unit, item, DEAD_IMPOSSIBLE, err.text);
}

static void carry_out(struct unit *unit, struct item *item)
{
    if (is_host_command(item->command))
        return;
    item->refused = unit->host->part->act(unit, item->command, &item->why);
}

/* Let the part decide. Errors are kept with each item, so that the rest goes on. */
static void decide(struct unit *unit)
{
    for (size_t i = 0; i < unit->item_count; i++) {
        struct item *item = &unit->items[i];

        unit->current = item;
        item->refused = ERR_OK;
        if (item->event.type == EVENT_NONE && item->error != NULL)
            set_unreadable_aside(unit, item);
        else if (item->event.type != EVENT_NONE)
            react_to(unit, item);
        else if (item->command != NULL)
            carry_out(unit, item);
    }
    unit->current = NULL;
}

static enum err_kind read_state(struct unit *unit, bool *fenced, struct err *err)
{
    const struct part *part = unit->host->part;
    struct store *store = &unit->host->store;
    struct pg *pg;
    enum err_kind kind = store->begin(store->self, &unit->commit, err);

    if (kind != ERR_OK)
        return kind;
    pg = store->session(store->self);
    if (part->load != NULL)
        part->load(unit);
    if (pg != NULL)
        pg_sync(pg);
    kind = store->began(store->self, &unit->commit, fenced, err);
    /* All that was set aside of this key is in this unit: nothing is in front of it. */
    if (unit->commit.redriven_count > 0)
        memset(unit->commit.key_is_parked, 0, unit->key_count * sizeof(bool));
    if (kind == ERR_OK && part->loaded != NULL)
        kind = part->loaded(unit, err);
    if (pg != NULL && kind == ERR_OK)
        kind = pg_finish(pg, err);
    return kind;
}

enum err_kind worker_make_unit(struct unit *unit, bool *fenced, struct err *err)
{
    const struct part *part = unit->host->part;
    struct store *store = &unit->host->store;
    enum err_kind kind;

    *fenced = false;
    unit_plan(unit);
    kind = read_state(unit, fenced, err);
    if (kind == ERR_OK) {
        decide(unit);
        unit_plan_removed(unit);
        if (unit->conclude != NULL && !unit->dry_run)
            kind = unit->conclude(unit, unit->conclude_context, err);
        if (unit->dry_run) {
            store->abandon(store->self);
            return ERR_OK;
        }
    }
    if (kind == ERR_OK) {
        if (part->save != NULL)
            part->save(unit);
        kind = store->commit(store->self, &unit->commit, err);
    }
    if (kind != ERR_OK)
        store->abandon(store->self);
    return kind;
}

static void log_dead_letters(const struct unit *unit)
{
    for (size_t i = 0; i < unit->commit.dead_letter_count; i++) {
        const struct dead_letter *dead = &unit->commit.dead_letters[i];

        metric_add(&dead_total, 1);
        LOG_AT(dead->reason == DEAD_PARKED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, "dead_letter",
               "a record was set aside", log_str("reason", dead_reason_name(dead->reason)),
               log_str("topic", dead->topic), log_int("partition", dead->partition),
               log_int("offset", dead->offset), log_int("number", (int64_t)dead->number),
               log_str("err", dead->error));
    }
}

void worker_unit_is_stored(struct unit *unit, int64_t started_us)
{
    struct host *host = unit->host;

    if (unit->commit.record_count > 0 && host->relay != NULL)
        relay_offer(host->relay, unit->commit.records, unit->commit.record_count);
    if (host->intake != NULL)
        intake_committed(host->intake, unit->commit.marks, unit->commit.mark_count);
    log_dead_letters(unit);
    if (host->part->committed != NULL)
        host->part->committed(unit);
    for (size_t i = 0; i < unit->item_count; i++) {
        struct item *item = &unit->items[i];

        if (item->command != NULL)
            item->command->done(item->command, item->refused, &item->why);
        item->command = NULL;
    }
    metric_add(&units_total, 1);
    metric_add(&events_total, (int64_t)unit->event_count);
    metric_add(&commands_total, (int64_t)unit->command_count);
    metric_add(&published_total, (int64_t)unit->commit.record_count);
    metric_observe_us(&unit_time, clock_monotonic_us() - started_us);
    atomic_store(&host->storing, true);
}

/* --- When it fails -------------------------------------------------------------------------- */

struct stored_marks {
    struct host *host;
    struct mark *marks;
    size_t count;
};

static struct mark *stored_mark(struct stored_marks *stored, const struct mark *after)
{
    for (size_t i = 0; i < stored->count; i++)
        if (stored->marks[i].partition == after->partition &&
            strcmp(stored->marks[i].topic, after->topic) == 0)
            return &stored->marks[i];
    return NULL;
}

/* Is the record still to be applied, and by us? */
static bool still_owed(void *context, struct item *item)
{
    struct stored_marks *stored = context;
    const struct intake_record *record = item->record;
    const struct mark *now;

    if (record == NULL)
        return true;
    now = stored_mark(stored, &record->after);
    if (now == NULL)
        return true;
    if (mark_is_fenced(now, &record->after)) {
        intake_fenced(stored->host->intake, record->topic, record->partition);
        return false;
    }
    return mark_still_owes(now, &record->after, record->number);
}

/* After a fence or an unknown outcome: what do the positions say? An epoch that moved is somebody
 * else's; a mark that moved means that the unit was stored. Without a record in the unit there is
 * none to be asked for, and the question is whether the store answers. */
static enum err_kind reload(struct host *host, struct item *items, size_t *count, struct err *err)
{
    struct stored_marks stored = {.host = host};
    enum err_kind kind;

    arena_reset(&host->unit_arena);
    stored.marks = arena_array(&host->unit_arena, *count + 1, sizeof *stored.marks);
    for (size_t i = 0; i < *count; i++)
        if (items[i].record != NULL && stored_mark(&stored, &items[i].record->after) == NULL)
            stored.marks[stored.count++] = items[i].record->after;
    kind = host->store.reload(host->store.self, stored.marks, stored.count, err);
    if (kind == ERR_OK)
        *count = items_keep(items, *count, still_owed, &stored);
    return kind;
}

/* The one thing in a unit that cannot be stored: a command is refused; of a record only its dead
 * letter goes into the next unit. */
static enum err_kind refuse_alone(struct host *host, struct item *item, size_t *count,
                                  struct err *err)
{
    if (item->command != NULL) {
        item->command->done(item->command, ERR_REJECT, err);
        item->command = NULL;
        *count = 0;
        return ERR_OK;
    }
    if (item->event.type == EVENT_NONE)
        return err_set(err, ERR_STOP, "a dead letter cannot be stored: %s",
                       arena_strdup(&host->arena, err->text));
    item->event.type = EVENT_NONE;
    item->dead_reason = DEAD_REFUSED;
    item->error = arena_strdup(&host->arena, err->text);
    return ERR_OK;
}

/* Wait and look again until the store answers; ERR_OK with the items that are still to be done. */
static enum err_kind recover(struct host *host, struct item *items, size_t *count, struct err *err)
{
    int64_t pause_ms = RETRY_MIN_MS;

    do {
        const struct timespec pause = {.tv_sec = pause_ms / 1000,
                                       .tv_nsec = pause_ms % 1000 * 1000000};

        nanosleep(&pause, NULL);
        pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
        *count = items_expire(items, *count, clock_monotonic_ms());
        inbox_expire(&host->inbox, clock_monotonic_ms());
        if (atomic_load(&host->stopping))
            return ERR_RETRY;
    } while (reload(host, items, count, err) == ERR_RETRY);
    return ERR_OK;
}

struct unit worker_unit(struct host *host, struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        items[i].event.envelope = &items[i].envelope; /* items move when others leave */
    arena_reset(&host->unit_arena);
    return (struct unit){
        .host = host,
        .arena = &host->unit_arena,
        .items = items,
        .item_count = count,
        .now_us = clock_utc_us(),
    };
}

/* Bring items to their end: stored, set aside, refused, or somebody else's. */
static enum err_kind process(struct host *host, struct item *items, size_t count, struct err *err)
{
    int64_t started_us = clock_monotonic_us();

    while (count > 0) {
        struct unit unit = worker_unit(host, items, count);
        bool fenced;
        enum err_kind kind = worker_make_unit(&unit, &fenced, err);

        switch (kind) {
        case ERR_OK:
            worker_unit_is_stored(&unit, started_us);
            return ERR_OK;
        case ERR_STOP:
            return kind;
        case ERR_REJECT:
            if (count == 1) {
                kind = refuse_alone(host, &items[0], &count, err);
            } else {
                LOG_WARN("unit_cut", "a unit cannot be stored: cutting it in halves", log_err(err),
                         log_int("items", (int64_t)count));
                kind = process(host, items, count / 2, err);
                items += count / 2;
                count -= count / 2;
            }
            break;
        case ERR_RETRY:
            metric_add(&retries_total, 1);
            if (fenced) {
                kind = reload(host, items, &count, err) == ERR_STOP ? ERR_STOP : ERR_OK;
                break;
            }
            atomic_store(&host->storing, false);
            LOG_WARN("unit_retry", "a unit of work was not stored: making it again", log_err(err),
                     log_int("items", (int64_t)count));
            kind = recover(host, items, &count, err);
            if (kind == ERR_OK && count == 0)
                atomic_store(&host->storing, true); /* nothing is left that could tell */
            break;
        }
        if (kind != ERR_OK)
            return kind;
    }
    return ERR_OK;
}

/* --- The loop ------------------------------------------------------------------------------- */

static enum err_kind run_host_command(struct host *host, struct command *command, struct err *err)
{
    switch (command->kind) {
    case COMMAND_SHOW_CONSUMER:
    case COMMAND_SET_FLOW:
        return flow_command(host, command, err);
    default:
        return redrive(host, (struct bring_back *)command, err);
    }
}

/* Host commands run each in a unit of their own. */
static size_t run_host_commands(struct host *host, struct command **commands, size_t count)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        struct command *command = commands[i];
        struct err err = {0};

        if (is_host_command(command))
            command->done(command, run_host_command(host, command, &err), &err);
        else
            commands[left++] = command;
    }
    return left;
}

static enum err_kind take_batch(struct host *host, size_t *records, bool *more, struct err *err)
{
    *records = 0;
    *more = false;
    if (host->intake == NULL)
        return ERR_OK;
    return intake_poll(host->intake, host->records, UNIT_RECORDS_MAX, UNIT_BYTES_MAX, records, more,
                       err);
}

static void refuse_standby(struct command **commands, size_t count)
{
    struct err err;

    err_set(&err, ERR_RETRY, "another instance leads");
    for (size_t i = 0; i < count; i++)
        commands[i]->done(commands[i], ERR_RETRY, &err);
}

/* One round. *more: do not wait before the next. */
static enum err_kind work_once(struct host *host, bool *more, struct err *err)
{
    struct command *commands[UNIT_COMMANDS_MAX];
    size_t record_count, command_count, count = 0;
    struct item *items;
    enum err_kind kind;

    arena_reset(&host->arena);
    kind = take_batch(host, &record_count, more, err);
    if (host->intake != NULL) {
        atomic_store(&host->assigned, intake_is_assigned(host->intake));
        atomic_store(&host->leads, intake_leads(host->intake));
    }
    if (kind != ERR_OK)
        return kind;
    command_count = inbox_take(&host->inbox, commands, UNIT_COMMANDS_MAX);
    *more = *more || command_count == UNIT_COMMANDS_MAX;
    if (host->part->lead_topic != NULL && !atomic_load(&host->leads)) {
        refuse_standby(commands, command_count);
        command_count = 0;
    }
    command_count = run_host_commands(host, commands, command_count);
    items = arena_array(&host->arena, record_count + command_count + 1, sizeof *items);
    for (size_t i = 0; i < record_count; i++) {
        items[count] = *(struct item *)host->records[i].decoded;
        items[count].record = &host->records[i];
        count++;
    }
    for (size_t i = 0; i < command_count; i++)
        items[count++].command = commands[i];
    kind = process(host, items, count, err);
    items_refuse(items, count, "this instance is leaving");
    if (host->intake != NULL)
        intake_done(host->intake, host->records, record_count);
    return kind;
}

static void wait_for_work(struct host *host, int64_t until_ms)
{
    struct pollfd wait = {.fd = host->wake_fd, .events = POLLIN};
    int64_t left_ms = until_ms - clock_monotonic_ms();
    uint64_t drained;

    if (left_ms > 0)
        poll(&wait, 1, (int)left_ms);
    if (read(host->wake_fd, &drained, sizeof drained) < 0)
        return;
}

static bool may_leave(struct host *host)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!atomic_load(&host->stopping))
        return false;
    if (host->leave_by_ms == 0)
        host->leave_by_ms = now_ms + LEAVE_HOOK_MS;
    return host->part->leave == NULL || host->part->leave(host) || now_ms >= host->leave_by_ms;
}

enum err_kind worker_run(struct host *host, struct err *err)
{
    static struct metric *const metrics[] = {&units_total,     &events_total, &commands_total,
                                             &published_total, &dead_total,   &retries_total,
                                             &unit_time};
    int64_t tick_ms = clock_monotonic_ms();
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        metric_register(metrics[i]);
    while (!may_leave(host)) {
        int64_t now_ms;
        bool more = false;

        kind = work_once(host, &more, err);
        if (kind == ERR_STOP)
            return kind;
        now_ms = clock_monotonic_ms();
        if (kind == ERR_OK && now_ms >= tick_ms) {
            tick_ms = now_ms + TICK_MS;
            if (host->intake != NULL && (kind = intake_tick(host->intake, now_ms, err)) == ERR_STOP)
                return kind;
            flow_tick(host, now_ms);
            undecided_tick(host, now_ms);
            if (host->part->tick != NULL)
                host->part->tick(host, now_ms);
        }
        if (!more)
            wait_for_work(host, tick_ms);
    }
    return ERR_OK;
}
