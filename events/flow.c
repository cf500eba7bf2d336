/* How a part reads its inputs, in an operator's hands: paused, slowed down, or as they come; and
 * what it has applied of them. The wish lies in the part's store, changed in the commit that tells
 * of it, so it holds for all instances and outlives each: another instance looks once a second.
 *
 * A pause stops reading and nothing else. Requests are answered, what is owed to the outside is
 * done, what was committed is published, dead letters are brought back. */
#include "events/host.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define LOOK_EVERY_MS 1000
#define RATE_MAX 1000000

enum wish { WISH_PAUSE, WISH_RESUME, WISH_THROTTLE };

static const char *const ACTIONS[] = {
    [WISH_PAUSE] = "consumer.pause",
    [WISH_RESUME] = "consumer.resume",
    [WISH_THROTTLE] = "consumer.throttle",
};

/* A request of an operator on its way through the worker. */
struct asked {
    struct command command; /* COMMAND_SHOW_CONSUMER or COMMAND_SET_FLOW */
    struct http_request *request;
    enum wish wish;
    int64_t rate_per_s;
    struct operation operation;
    bool dry_run;
    struct buf answer;
    struct flow before, after;
};

static bool is_same(const struct flow *one, const struct flow *other)
{
    return one->paused == other->paused && one->rate_per_s == other->rate_per_s;
}

/* --- What holds ---------------------------------------------------------------------------------
 */

enum err_kind flow_read(struct host *host, struct err *err)
{
    struct flow flow;
    enum err_kind kind = host->store.read_flow(host->store.self, &flow, err);

    if (kind == ERR_OK)
        intake_set_flow(host->intake, &flow);
    return kind;
}

void flow_tick(struct host *host, int64_t now_ms)
{
    if (host->intake == NULL || now_ms < host->flow_at_ms)
        return;
    host->flow_at_ms = now_ms + LOOK_EVERY_MS;
    flow_read(host, NULL); /* the database is away: what held holds */
}

/* --- Saying so ----------------------------------------------------------------------------------
 */

static void put_flow(struct json_writer *writer, const struct flow *flow)
{
    json_member_bool(writer, "paused", flow->paused);
    json_member_int64(writer, "rate_per_s", flow->rate_per_s);
}

static void put_changed(struct json_writer *writer, const struct flow *flow)
{
    if (flow->changed_us > 0) {
        json_member_time_us(writer, "changed_at", flow->changed_us);
    } else {
        json_key(writer, "changed_at");
        json_put_null(writer);
    }
}

static void put_marks(struct json_writer *writer, const struct mark *marks, size_t count)
{
    json_key(writer, "positions");
    json_array_start(writer);
    for (size_t i = 0; i < count; i++) {
        json_object_start(writer);
        json_member_str(writer, "topic", marks[i].topic);
        json_member_int64(writer, "partition", marks[i].partition);
        json_member_str(writer, "source", topic_writer(topic_from_name(marks[i].topic)));
        json_member_int64(writer, "applied", (int64_t)marks[i].high_water);
        json_member_int64(writer, "next_offset", marks[i].next_offset);
        json_member_int64(writer, "epoch", marks[i].epoch);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static enum err_kind show(struct host *host, struct asked *asked, struct err *err)
{
    size_t partitions = (size_t)host->partitions;
    size_t count = host->part->input_count * partitions;
    struct mark *marks = arena_array(&host->arena, count, sizeof *marks);
    struct json_writer writer = {.out = &asked->answer};
    struct flow flow;
    enum err_kind kind = host->store.read_flow(host->store.self, &flow, err);

    for (size_t i = 0; i < count; i++)
        marks[i] = (struct mark){.topic = topic_name(host->part->inputs[i / partitions]),
                                 .partition = (int32_t)(i % partitions),
                                 .next_offset = -1};
    if (kind == ERR_OK)
        kind = host->store.reload(host->store.self, marks, count, err);
    if (kind != ERR_OK)
        return kind;
    json_object_start(&writer);
    json_member_str(&writer, "part", host->part->name);
    json_member_str(&writer, "instance", host_instance(host));
    put_flow(&writer, &flow);
    put_changed(&writer, &flow);
    put_marks(&writer, marks, count);
    json_object_end(&writer);
    return ERR_OK;
}

/* --- Changing it --------------------------------------------------------------------------------
 */

static struct flow wished(const struct asked *asked, int64_t now_us)
{
    struct flow flow = asked->before;

    flow.changed_us = now_us;
    switch (asked->wish) {
    case WISH_PAUSE:
        flow.paused = true;
        break;
    case WISH_RESUME:
        flow.paused = false;
        break;
    case WISH_THROTTLE:
        flow.rate_per_s = asked->rate_per_s;
        break;
    }
    return flow;
}

/* In the unit, whose lock on the operators' shard lets one change come after the other. A wish that
 * holds already changes nothing, and nothing is told. */
static enum err_kind change(struct unit *unit, void *context, struct err *err)
{
    struct asked *asked = context;
    struct store *store = &unit->host->store;
    AUTO(buf_clear) struct buf before = {0};
    AUTO(buf_clear) struct buf after = {0};
    struct json_writer was = {.out = &before}, is = {.out = &after};
    enum err_kind kind = store->read_flow(store->self, &asked->before, err);

    if (kind != ERR_OK)
        return kind;
    asked->after = wished(asked, unit_now_us(unit));
    if (is_same(&asked->before, &asked->after)) {
        asked->after = asked->before;
        return ERR_OK;
    }
    json_object_start(&was);
    put_flow(&was, &asked->before);
    json_object_end(&was);
    json_object_start(&is);
    put_flow(&is, &asked->after);
    json_object_end(&is);
    unit_record(unit, &(struct action){
                          .operation = unit->operation,
                          .name = ACTIONS[asked->wish],
                          .subject = view_str(unit->host->part->name),
                          .before = buf_view(&before),
                          .after = buf_view(&after),
                      });
    unit->commit.flow = &asked->after;
    return ERR_OK;
}

static void report(struct asked *asked, const struct host *host)
{
    struct json_writer writer = {.out = &asked->answer};

    json_object_start(&writer);
    json_member_str(&writer, "part", host->part->name);
    json_member_bool(&writer, "dry_run", asked->dry_run);
    json_member_bool(&writer, "changed", !is_same(&asked->before, &asked->after));
    put_flow(&writer, &asked->after);
    put_changed(&writer, &asked->after);
    json_object_end(&writer);
}

static enum err_kind set_flow(struct host *host, struct asked *asked, struct err *err)
{
    int64_t started_us = clock_monotonic_us();
    struct unit unit = worker_unit(host, NULL, 0);
    enum err_kind kind;
    bool fenced;

    if (asked->dry_run) {
        kind = host->store.read_flow(host->store.self, &asked->before, err);
        asked->after = wished(asked, unit.now_us);
    } else {
        unit.operation = &asked->operation;
        unit.conclude = change;
        unit.conclude_context = asked;
        kind = worker_make_unit(&unit, &fenced, err);
    }
    if (kind != ERR_OK)
        return kind;
    if (!asked->dry_run) {
        worker_unit_is_stored(&unit, started_us);
        intake_set_flow(host->intake, &asked->after);
    }
    report(asked, host);
    return ERR_OK;
}

enum err_kind flow_command(struct host *host, struct command *command, struct err *err)
{
    struct asked *asked = (struct asked *)command;

    return command->kind == COMMAND_SHOW_CONSUMER ? show(host, asked, err)
                                                  : set_flow(host, asked, err);
}

/* --- HTTP ---------------------------------------------------------------------------------------
 */

/* The worker. */
static void answer(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct asked *asked = (struct asked *)command;

    if (outcome == ERR_OK) {
        http_reply(asked->request, 200, NULL, buf_view(&asked->answer));
    } else {
        http_reply_header(asked->request, "Retry-After", "1");
        http_problem(asked->request, 503, "busy", VIEW_NONE, "%s", err->text);
    }
    buf_clear(&asked->answer);
    free(asked);
}

static void submit(struct http_request *request, struct host *host, struct asked wanted)
{
    struct asked *asked;

    if (!host_has_started(host, request))
        return;
    if (host->intake == NULL) {
        http_problem(request, 404, "no-consumer", VIEW_NONE, "%s reads no topic", host->part->name);
        return;
    }
    asked = mem_alloc(sizeof *asked);
    *asked = wanted;
    asked->request = request;
    asked->command.done = answer;
    if (host_submit(host, &asked->command))
        return;
    http_problem(request, 503, "busy", VIEW_NONE, "the part takes no commands now");
    free(asked);
}

void consumer_show(struct http_request *request, void *context)
{
    submit(request, context, (struct asked){.command.kind = COMMAND_SHOW_CONSUMER});
}

static void set(struct http_request *request, struct host *host, enum wish wish, int64_t rate_per_s)
{
    struct asked asked = {.command.kind = COMMAND_SET_FLOW, .wish = wish, .rate_per_s = rate_per_s};

    if (host_read_flag(request, "dry_run", &asked.dry_run) &&
        operation_read(request, &asked.operation))
        submit(request, host, asked);
}

void consumer_pause(struct http_request *request, void *context)
{
    set(request, context, WISH_PAUSE, 0);
}

void consumer_resume(struct http_request *request, void *context)
{
    set(request, context, WISH_RESUME, 0);
}

void consumer_throttle(struct http_request *request, void *context)
{
    int64_t rate_per_s = -1;

    if (!http_query_int64(request, "rate", 0, RATE_MAX, &rate_per_s))
        return;
    if (rate_per_s < 0)
        http_problem(request, 400, "bad-query", VIEW_NONE,
                     "rate: want records in a second, 0 for as many as come");
    else
        set(request, context, WISH_THROTTLE, rate_per_s);
}
