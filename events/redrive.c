/* Dead letters that come back. Redrive applies the letter, drop does without it; either way those
 * of its key that are parked behind it come next, in order, in the same transaction that deletes
 * them. One that is refused again is a dead letter again under its old id, and what is behind it is
 * parked again. Each try is counted; after DEAD_ATTEMPTS_MAX of them only an operator who insists
 * gets another. */
#include "events/host.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- May it be tried? ---------------------------------------------------------------------------
 */

static enum err_kind check_drop(struct host *host, const struct dead_letter *dead, struct err *err)
{
    struct envelope envelope;

    if (host->part->may_drop == NULL ||
        envelope_read_block(&envelope, topic_from_name(dead->topic), dead->headers, NULL) !=
            ERR_OK ||
        host->part->may_drop(envelope.type))
        return ERR_OK;
    return err_set(err, ERR_REJECT, "dead letter %" PRId64 ": a %s can be redriven, not dropped",
                   dead->id, event_type_name(envelope.type));
}

/* The letter that a command names, and what is parked behind it. */
static enum err_kind find_letters(struct host *host, const struct bring_back *back,
                                  struct dead_letter **dead, size_t *count, struct err *err)
{
    enum err_kind kind =
        host->store.load_dead_letters(host->store.self, back->id, dead, count, &host->arena, err);

    if (kind != ERR_OK)
        return kind;
    if (*count == 0)
        return err_set(err, ERR_REJECT, "dead letter %" PRId64 ": there is none with this number",
                       back->id);
    if ((*dead)[0].id != back->id)
        return err_set(err, ERR_REJECT,
                       "dead letter %" PRId64 ": it is parked behind %" PRId64
                       " of the same key: bring that one back first",
                       back->id, (*dead)[0].id);
    if (back->command.kind == COMMAND_DROP)
        return check_drop(host, *dead, err);
    if ((*dead)[0].attempts >= DEAD_ATTEMPTS_MAX && !back->beyond_limit)
        return err_set(err, ERR_REJECT,
                       "dead letter %" PRId64 ": it was tried %d times, the limit is %d: mend the "
                       "cause, then try it with beyond_limit=true",
                       back->id, (*dead)[0].attempts, DEAD_ATTEMPTS_MAX);
    return ERR_OK;
}

/* --- Items of a unit ----------------------------------------------------------------------------
 */

static void read_letter(struct host *host, const struct dead_letter *dead, struct item *item)
{
    struct err err;
    enum err_kind kind =
        envelope_read_block(&item->envelope, topic_from_name(dead->topic), dead->headers, &err);

    if (kind == ERR_OK)
        kind = worker_read_value(host, item, dead->partition, dead->key, dead->value, &err);
    item->event.redriven = true;
    if (kind == ERR_OK)
        return;
    item->event.type = EVENT_NONE;
    item->dead_reason = dead->number == 0   ? DEAD_NO_NUMBER
                        : kind == ERR_RETRY ? DEAD_UNKNOWN_SCHEMA
                                            : DEAD_UNDECODABLE;
    item->error = arena_printf(&host->arena, "it still cannot be read: %s", err.text).data;
}

static struct item *make_items(struct host *host, const struct bring_back *back,
                               const struct dead_letter *dead, size_t count)
{
    struct item *items = arena_array(&host->arena, count, sizeof *items);

    for (size_t i = 0; i < count; i++) {
        items[i].redriven = &dead[i];
        if (i > 0 || back->command.kind == COMMAND_REDRIVE)
            read_letter(host, &dead[i], &items[i]);
    }
    return items;
}

/* --- What became of them ------------------------------------------------------------------------
 */

static const struct dead_letter *set_aside_again(const struct unit *unit, int64_t id)
{
    for (size_t i = 0; i < unit->commit.dead_letter_count; i++)
        if (unit->commit.dead_letters[i].id == id)
            return &unit->commit.dead_letters[i];
    return NULL;
}

static void report_item(struct json_writer *writer, const struct unit *unit,
                        const struct item *item)
{
    const struct dead_letter *again = set_aside_again(unit, item->redriven->id);

    json_object_start(writer);
    json_member_int64(writer, "id", item->redriven->id);
    if (again == NULL) {
        json_member_str(writer, "outcome", item->event.type != EVENT_NONE ? "applied" : "dropped");
    } else {
        json_member_str(writer, "outcome", again->reason == DEAD_PARKED ? "parked" : "set_aside");
        json_member_str(writer, "reason", dead_reason_name(again->reason));
        json_member_str(writer, "error", again->error);
        json_member_int64(writer, "attempts", again->attempts);
    }
    json_object_end(writer);
}

/* The answer for the operator: ERR_REJECT when the letter itself was set aside again. */
static enum err_kind judge_head(const struct bring_back *back, const struct unit *unit,
                                struct err *err)
{
    const struct dead_letter *again = set_aside_again(unit, back->id);

    if (again == NULL)
        return ERR_OK;
    return err_set(err, ERR_REJECT, "dead letter %" PRId64 ": %s and %s again (attempt %d of %d)",
                   back->id, again->error, back->dry_run ? "would be set aside" : "was set aside",
                   again->attempts, DEAD_ATTEMPTS_MAX);
}

/* What operators did is said in the commit that does it, also when it came to nothing. */
static enum err_kind record_letters(struct unit *unit, void *context, struct err *err)
{
    const struct bring_back *back = context;
    const struct dead_letter *head = unit->items[0].redriven;
    AUTO(buf_clear) struct buf before = {0};
    AUTO(buf_clear) struct buf after = {0};
    struct json_writer was = {.out = &before}, is = {.out = &after};
    char id[24];

    (void)err;
    snprintf(id, sizeof id, "%" PRId64, head->id);
    json_object_start(&was);
    json_member_text(&was, "key", head->key);
    json_member_str(&was, "topic", head->topic);
    json_member_int64(&was, "partition", head->partition);
    json_member_int64(&was, "offset", head->offset);
    json_member_int64(&was, "number", (int64_t)head->number); /* 0: none */
    json_member_str(&was, "reason", dead_reason_name(head->reason));
    json_member_str(&was, "error", head->error);
    json_member_int64(&was, "attempts", head->attempts);
    json_object_end(&was);
    json_array_start(&is);
    for (size_t i = 0; i < unit->item_count; i++)
        report_item(&is, unit, &unit->items[i]);
    json_array_end(&is);
    unit_record(unit, &(struct action){
                          .operation = unit->operation,
                          .name = back->command.kind == COMMAND_DROP ? "dead_letter.drop"
                                                                     : "dead_letter.redrive",
                          .subject = view_str(id),
                          .before = buf_view(&before),
                          .after = buf_view(&after),
                      });
    return ERR_OK;
}

/* --- Doing it -----------------------------------------------------------------------------------
 */

static void refuse(struct host *host, struct item *item, const struct err *why)
{
    item->event.type = EVENT_NONE;
    item->dead_reason = DEAD_REFUSED;
    item->error = arena_strdup(&host->arena, why->text);
}

/* One transaction with the first take of count letters. */
static enum err_kind try_letters(struct host *host, struct bring_back *back, struct item *items,
                                 size_t take, size_t count, struct unit *unit, struct err *err)
{
    int64_t started_us = clock_monotonic_us();
    enum err_kind kind;
    bool fenced;

    *unit = worker_unit(host, items, take);
    unit->dry_run = back->dry_run;
    unit->commit.key_letters = count;
    unit->operation = &back->operation;
    unit->conclude = back->operation.actor != NULL ? record_letters : NULL; /* else nobody asked */
    unit->conclude_context = back;
    kind = worker_make_unit(unit, &fenced, err);
    if (kind == ERR_OK && !back->dry_run)
        worker_unit_is_stored(unit, started_us);
    return kind;
}

/* All at once. When the store refuses that, the first alone; when that one is to blame it becomes a
 * dead letter again. A failure of any other kind is not tried twice: the operator sees it and may.
 */
static enum err_kind bring_back(struct host *host, struct bring_back *back, struct item *items,
                                size_t count, struct json_writer *writer, struct err *err)
{
    enum err_kind head = ERR_OK;
    struct err why = {0};

    for (size_t from = 0, take = count; from < count;) {
        struct unit unit;
        enum err_kind kind = try_letters(host, back, &items[from], take, count - from, &unit, err);

        if (kind == ERR_REJECT && take > 1) {
            take = 1;
            continue;
        }
        if (kind == ERR_REJECT && items[from].event.type != EVENT_NONE) {
            refuse(host, &items[from], err);
            take = count - from;
            continue;
        }
        if (kind != ERR_OK)
            return kind;
        if (from == 0)
            head = judge_head(back, &unit, &why);
        for (size_t i = from; i < from + take; i++)
            report_item(writer, &unit, &items[i]);
        from += take;
        take = count - from;
    }
    *err = why;
    return head;
}

enum err_kind redrive(struct host *host, struct bring_back *back, struct err *err)
{
    struct json_writer writer = {.out = &back->report};
    struct dead_letter *dead;
    size_t count;
    enum err_kind kind = find_letters(host, back, &dead, &count, err);

    if (kind != ERR_OK)
        return kind;
    json_object_start(&writer);
    json_member_bool(&writer, "dry_run", back->dry_run);
    json_key(&writer, "letters");
    json_array_start(&writer);
    kind = bring_back(host, back, make_items(host, back, dead, count), count, &writer, err);
    json_array_end(&writer);
    json_object_end(&writer);
    return kind;
}

/* --- What a replay has left --------------------------------------------------------------------
 */

static int compare_letters(const void *a, const void *b)
{
    const struct dead_letter *left = a, *right = b;
    int order = view_compare(left->key, right->key);

    return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

static enum err_kind redrive_key(struct host *host, struct item *items, size_t count,
                                 struct err *err)
{
    AUTO(buf_clear) struct buf report = {0};
    struct json_writer writer = {.out = &report};
    struct bring_back back = {.command.kind = COMMAND_REDRIVE, .id = items[0].redriven->id};

    return bring_back(host, &back, items, count, &writer, err);
}

enum err_kind redrive_together(struct host *host, struct dead_letter *letters, size_t count,
                               struct err *err)
{
    struct bring_back back = {.command.kind = COMMAND_REDRIVE};
    struct item *items;
    struct unit unit;
    enum err_kind kind;

    qsort(letters, count, sizeof *letters, compare_letters);
    items = make_items(host, &back, letters, count);
    kind = try_letters(host, &back, items, count, count, &unit, err);
    if (kind != ERR_REJECT)
        return kind;
    kind = ERR_OK;
    for (size_t from = 0, next; from < count; from = next) {
        struct err why = {0};
        enum err_kind of_key;

        for (next = from + 1; next < count && view_equal(letters[next].key, letters[from].key);)
            next++;
        of_key = redrive_key(host, items + from, next - from, &why);
        if (of_key != ERR_OK) {
            kind = of_key;
            *err = why;
        }
        if (of_key == ERR_RETRY || of_key == ERR_STOP)
            break;
    }
    return kind;
}
