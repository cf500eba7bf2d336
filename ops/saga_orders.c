#include "ops/saga_orders.h"

#include "ops/commands.h"
#include "ops/dlq.h"
#include "ops/out.h"
#include "ops/status.h"
#include "ops/when.h"
#include "runtime/settings.h"
#include "saga/saga.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ULID_LENGTH 26

/* What is known of the parts while orders wait for them. */
struct scene {
    const struct command *command;
    struct arena arena;
    char *token;
    struct lag *lag;
    struct status status;
    struct dlq_list *letters; /* of ops_parts; read when somebody waits for the part */
    bool *letters_read;
};

bool saga_is_order(const char *word)
{
    return strlen(word) == ULID_LENGTH &&
           strspn(word, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ULID_LENGTH;
}

static void close_scene(struct scene *scene)
{
    lag_close(scene->lag);
    free(scene->token);
    arena_clear(&scene->arena);
}

static enum err_kind open_scene(struct scene *scene, const struct command *command, struct err *err)
{
    enum err_kind kind;

    *scene = (struct scene){.command = command};
    scene->letters = arena_array(&scene->arena, ops_part_count, sizeof *scene->letters);
    scene->letters_read = arena_array(&scene->arena, ops_part_count, sizeof(bool));
    kind = part_token(&scene->token, "operator", err);
    if (kind == ERR_OK)
        kind = lag_open(&scene->lag, setting_text("TRADEWIND_KAFKA"),
                        (int32_t)setting_integer("TRADEWIND_PARTITIONS"), err);
    return kind == ERR_OK ? status_read(&scene->status, scene->lag, &scene->arena, err) : kind;
}

/* --- The part that owes the answer --------------------------------------------------------------
 */

/* The dead letter of the order in the part: the one in front, which the others wait behind. */
static const struct json *letter_of(struct scene *scene, size_t part, const char *order)
{
    struct dlq_list *list = &scene->letters[part];

    if (!scene->letters_read[part]) {
        scene->letters_read[part] = true;
        dlq_read(list, ops_parts[part].name, &(struct dlq_filter){0}, scene->token, &scene->arena,
                 NULL);
    }
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(part_text(list->letters[i], "key", &scene->arena), order) == 0)
            return list->letters[i];
    return NULL;
}

static size_t place_of(const char *part)
{
    size_t i = 0;

    while (i < ops_part_count && strcmp(ops_parts[i].name, part) != 0)
        i++;
    return i;
}

static void write_part(struct scene *scene, struct json_writer *json, const char *name,
                       const char *order)
{
    size_t place = place_of(name);
    const struct part_status *part;
    const struct json *letter;

    json_object_start(json);
    json_member_str(json, "part", name);
    if (place < ops_part_count) {
        part = &scene->status.parts[place];
        letter = part->reachable ? letter_of(scene, place, order) : NULL;
        json_member_bool(json, "reachable", part->reachable);
        json_member_bool(json, "ready", part->ready);
        json_member_str(json, "not_ready", part->not_ready);
        json_member_bool(json, "paused",
                         metrics_sum(&part->metrics, "tradewind_intake_paused") > 0);
        json_key(json, "lag");
        if (part->lag >= 0)
            json_put_int64(json, part->lag);
        else
            json_put_null(json);
        json_key(json, "dead_letter");
        if (letter != NULL)
            json_put_tree(json, letter);
        else
            json_put_null(json);
    }
    json_object_end(json);
}

/* One sentence of what holds the part up. */
static const char *say_part(struct scene *scene, const char *name, const char *order)
{
    struct arena *arena = &scene->arena;
    size_t place = place_of(name);
    const struct part_status *part;
    const struct json *letter;

    if (place == ops_part_count)
        return "is no part of this name";
    part = &scene->status.parts[place];
    if (!part->reachable)
        return "is down: it does not answer";
    letter = letter_of(scene, place, order);
    if (letter != NULL)
        return arena_printf(arena,
                            "has its %s in the dead letters (%s, %s): tradewind dlq show %s %s",
                            part_text(letter, "type", arena), part_text(letter, "reason", arena),
                            part_text(letter, "error", arena), name, part_text(letter, "id", arena))
            .data;
    if (!part->ready)
        return arena_printf(arena, "is up, not ready: %s", part->not_ready).data;
    if (metrics_sum(&part->metrics, "tradewind_intake_paused") > 0)
        return arena_printf(arena,
                            "is paused by an operator, %" PRId64
                            " records behind: tradewind groups resume %s",
                            part->lag, name)
            .data;
    if (part->lag > 0)
        return arena_printf(arena, "is up, %" PRId64 " records behind", part->lag).data;
    return "is up and has read all: it works on it, waits for somebody outside, or never heard of "
           "the order (tradewind saga nudge)";
}

/* --- stuck --------------------------------------------------------------------------------------
 */

static void write_order(struct scene *scene, struct json_writer *json, const struct json *order)
{
    const struct json *waits = json_member(order, "waits_for");
    const char *id = part_text(order, "order_id", &scene->arena);

    json_object_start(json);
    for (size_t i = 0; i < order->count; i++) {
        if (&order->items[i] == waits)
            continue;
        json_key(json, arena_view(&scene->arena, order->items[i].name).data);
        json_put_tree(json, &order->items[i]);
    }
    json_key(json, "waits_for");
    json_array_start(json);
    for (size_t i = 0; waits != NULL && i < waits->count; i++)
        write_part(scene, json, arena_view(&scene->arena, waits->items[i].text).data, id);
    json_array_end(json);
    json_object_end(json);
}

static void print_stuck_json(struct scene *scene, const struct json *answer)
{
    const struct json *orders = json_member(answer, "orders");
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_key(&json, "unusual_after_ms");
    json_put_tree(&json, json_member(answer, "unusual_after_ms"));
    json_key(&json, "orders");
    json_array_start(&json);
    for (size_t i = 0; i < orders->count; i++)
        write_order(scene, &json, &orders->items[i]);
    json_array_end(&json);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

static const char *duration_ms(const struct json *object, const char *name, struct arena *arena)
{
    int64_t ms = 0;

    json_to_int64(json_member(object, name), &ms);
    return out_duration_us(arena, ms * 1000);
}

static void print_stuck(struct scene *scene, const struct json *orders)
{
    static const char *const COLUMNS[] = {"order", "state", ">for", "waits for", "which", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, &scene->arena);
    for (size_t i = 0; i < orders->count; i++) {
        const struct json *order = &orders->items[i], *waits = json_member(order, "waits_for");
        const char *id = part_text(order, "order_id", &scene->arena);

        for (size_t w = 0; waits != NULL && w < waits->count; w++) {
            const char *part = arena_view(&scene->arena, waits->items[w].text).data;

            out_cell(&table, "%s", w == 0 ? id : "");
            out_cell(&table, "%s", w == 0 ? part_text(order, "state", &scene->arena) : "");
            out_cell_in(&table, OUT_YELLOW, "%s",
                        w == 0 ? duration_ms(order, "waited_ms", &scene->arena) : "");
            out_cell_in(&table, OUT_BOLD, "%s", part);
            out_cell(&table, "%s", say_part(scene, part, id));
        }
    }
    out_table_print(&table, stdout);
}

static enum err_kind ask_stuck(const struct json **out, const struct saga_call *call,
                               struct scene *scene, struct err *err)
{
    AUTO(buf_clear) struct buf path = {0};
    struct part_call part_call = {.part = "orders", .token = scene->token};
    int64_t longer_us;

    buf_printf(&path, "/orders/stuck?limit=%" PRId64, call->limit);
    if (call->longer_than != NULL && when_parse_duration(call->longer_than, &longer_us))
        buf_printf(&path, "&longer_than_ms=%" PRId64, longer_us / 1000);
    part_call.path = buf_cstr(&path);
    return part_ask(out, &part_call, &scene->arena, err);
}

int saga_stuck(const struct saga_call *call)
{
    struct scene scene;
    const struct json *answer, *orders;
    struct err err = {0};
    int code;

    if (open_scene(&scene, call->command, &err) != ERR_OK ||
        ask_stuck(&answer, call, &scene, &err) != ERR_OK) {
        code = ops_failed(call->command, &err);
    } else {
        orders = json_member(answer, "orders");
        code = orders->count > 0 ? OPS_FOUND : OPS_OK;
        if (call->json)
            print_stuck_json(&scene, answer);
        else if (orders->count > 0)
            print_stuck(&scene, orders);
        else
            printf("no order waits longer than %s\n",
                   call->longer_than != NULL ? call->longer_than : "is usual");
    }
    close_scene(&scene);
    return code;
}

/* --- explain ORDER ------------------------------------------------------------------------------
 */

static void print_next(enum saga_orders_state state)
{
    printf("\nwhat may come next, by the saga's table:\n");
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->part != PART_ORDERS || step->state != (int)state)
            continue;
        printf("  %-22s %s%s%s: %s\n", saga_trigger_name(step->trigger),
               saga_guard_name(step->guard), saga_guard_name(step->guard)[0] != '\0' ? " " : "",
               saga_state_name(PART_ORDERS, step->next), step->because);
    }
}

static void print_order(struct scene *scene, const struct json *order)
{
    struct arena *arena = &scene->arena;
    const char *state = part_text(order, "state", arena), *id = part_text(order, "order_id", arena);
    const struct json *waits = json_member(order, "waits_for");
    const struct json *history = json_member(order, "history");

    printf("order %s: %s, created %.19sZ\n\n", id, state, part_text(order, "created_at", arena));
    for (size_t i = 0; history != NULL && i < history->count; i++)
        printf("  %.23sZ  %s\n", part_text(&history->items[i], "time", arena),
               part_text(&history->items[i], "type", arena));
    if (waits == NULL || waits->count == 0) {
        printf("\nit waits for nobody\n");
        return;
    }
    printf("\nit waits for:\n");
    for (size_t i = 0; i < waits->count; i++) {
        const char *part = arena_view(arena, waits->items[i].text).data;

        printf("  %s%s%s, which %s\n", out_colour(OUT_BOLD), part, out_colour(OUT_PLAIN),
               say_part(scene, part, id));
    }
    print_next((enum saga_orders_state)saga_state_from_name(PART_ORDERS, state));
}

static enum err_kind ask_order(const struct json **out, struct scene *scene, const char *order,
                               struct err *err)
{
    struct part_call call = {.part = "orders",
                             .token = scene->token,
                             .path = arena_printf(&scene->arena, "/orders/%s", order).data};

    return part_ask(out, &call, &scene->arena, err);
}

/* An order that nobody knows is a finding, not bad usage. */
static int failed(const struct command *command, const struct err *err)
{
    int code = ops_failed(command, err);

    return err->kind == ERR_REJECT ? OPS_FOUND : code;
}

int saga_explain_order(const struct saga_call *call, const char *id)
{
    struct scene scene;
    const struct json *order;
    struct err err = {0};
    int code = OPS_OK;

    if (open_scene(&scene, call->command, &err) != ERR_OK ||
        ask_order(&order, &scene, id, &err) != ERR_OK) {
        code = failed(call->command, &err);
    } else if (call->json) {
        AUTO(buf_clear) struct buf text = {0};
        struct json_writer json = {.out = &text};

        write_order(&scene, &json, order);
        printf("%s\n", buf_cstr(&text));
    } else {
        print_order(&scene, order);
    }
    close_scene(&scene);
    return code;
}

/* --- nudge ORDER, cancel ORDER ------------------------------------------------------------------
 */

/* What is asked of the order service. */
struct asked {
    const char *order;
    const char *verb; /* the last word of the path */
    enum saga_trigger trigger;
};

static void print_foretold(const struct saga_call *call, const struct asked *asked,
                           const struct saga_step *step, bool is_refused)
{
    const char *from = saga_state_name(PART_ORDERS, step->state);
    const char *to = saga_state_name(PART_ORDERS, step->next);
    const char *type = event_type_name(step->publishes);
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    if (call->json) {
        json_object_start(&json);
        json_member_str(&json, "order_id", asked->order);
        json_member_str(&json, "state", from);
        json_member_bool(&json, "refused", is_refused);
        json_member_str(&json, "next", to);
        json_member_str(&json, "publishes", type);
        json_member_str(&json, "because", step->because);
        json_object_end(&json);
        printf("%s\n", buf_cstr(&text));
    } else if (is_refused) {
        printf("%s is %s: it would be refused: %s\n", asked->order, from, step->because);
    } else {
        printf("%s is %s: it would %s %s%s%s: %s\n", asked->order, from,
               step->next != step->state ? "become" : "stay", to,
               *type != '\0' ? ", publishing " : "", type, step->because);
    }
}

/* What the table says of it, before anything is done: it has a row for every order there is. */
static int foretell(const struct saga_call *call, struct scene *scene, const struct asked *asked)
{
    const struct json *order;
    const struct saga_step *step;
    struct err err = {0};
    bool is_refused;
    int state;

    if (ask_order(&order, scene, asked->order, &err) != ERR_OK)
        return failed(call->command, &err);
    state = saga_state_from_name(PART_ORDERS, part_text(order, "state", &scene->arena));
    step = saga_step(PART_ORDERS, state, asked->trigger, GUARD_ALWAYS);
    if (step == NULL) {
        err_set(&err, ERR_STOP, "order %s: its state is unknown here", asked->order);
        return ops_failed(call->command, &err);
    }
    is_refused = asked->trigger == TRIGGER_OPERATOR_NUDGE && step->publishes == EVENT_NONE;
    print_foretold(call, asked, step, is_refused);
    return is_refused ? OPS_FOUND : OPS_OK;
}

static int ask_for(const struct saga_call *call, struct scene *scene, const struct asked *asked)
{
    AUTO(buf_clear) struct buf path = {0};
    AUTO(buf_clear) struct buf text = {0};
    struct part_call part_call = {.part = "orders", .method = "POST", .token = scene->token};
    struct json_writer json = {.out = &text};
    const struct json *answer;
    struct err err = {0};

    buf_printf(&path, "/orders/%s/%s", asked->order, asked->verb);
    if (call->because != NULL)
        part_add_parameter(&path, "because", call->because);
    part_call.path = buf_cstr(&path);
    if (part_ask(&answer, &part_call, &scene->arena, &err) != ERR_OK)
        return failed(call->command, &err);
    json_put_tree(&json, answer);
    if (call->json)
        printf("%s\n", buf_cstr(&text));
    else
        printf("%s is %s%s\n", asked->order, part_text(answer, "state", &scene->arena),
               asked->trigger == TRIGGER_OPERATOR_NUDGE ? ", and was asked for again" : "");
    return OPS_OK;
}

static int ask_or_foretell(const struct saga_call *call, const struct asked *asked)
{
    struct scene scene = {.command = call->command};
    struct err err = {0};
    int code;

    if (part_token(&scene.token, "operator", &err) != ERR_OK)
        code = ops_failed(call->command, &err);
    else
        code = call->dry_run ? foretell(call, &scene, asked) : ask_for(call, &scene, asked);
    close_scene(&scene);
    return code;
}

int saga_nudge(const struct saga_call *call, const char *order)
{
    return ask_or_foretell(call, &(struct asked){order, "nudge", TRIGGER_OPERATOR_NUDGE});
}

int saga_cancel(const struct saga_call *call, const char *order)
{
    return ask_or_foretell(call, &(struct asked){order, "cancel", TRIGGER_CUSTOMER_CANCEL});
}
