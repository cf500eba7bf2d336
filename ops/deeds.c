#include "ops/deeds.h"

#include "ops/actor.h"
#include "runtime/clock.h"
#include "runtime/json.h"

static const char *as_json(const char *error, struct arena *arena)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_member_str(&json, "error", error);
    json_object_end(&json);
    return arena_strdup(arena, buf_cstr(&text));
}

/* Deed i has the numbers i + 1 and count + i + 1 of its run. */
static enum err_kind say(const struct deeds *deeds, bool is_over, struct arena *arena,
                         struct err *err)
{
    struct telling *tellings = arena_array(arena, deeds->count + 1, sizeof *tellings);

    for (size_t i = 0; i < deeds->count; i++) {
        const struct deed *deed = &deeds->list[i];
        const char *ending = !is_over ? ".begun" : deed->error != NULL ? ".failed" : "";

        tellings[i] = (struct telling){
            .teller = TELLER_COMMAND,
            .run = deeds->run,
            .number = (is_over ? deeds->count : 0) + i + 1,
            .action = arena_printf(arena, "%s%s", deeds->action, ending).data,
            .subject = deed->subject,
            .actor = ops_actor(),
            .because = deeds->because != NULL ? deeds->because : "",
            .before = deed->before,
            .after = is_over && deed->error != NULL ? as_json(deed->error, arena) : deed->after,
            .time_us = clock_utc_us(),
        };
    }
    return tell(tellings, deeds->count, err);
}

enum err_kind deeds_begin(struct deeds *deeds, struct arena *arena, struct err *err)
{
    struct err why;

    deeds->run = tell_new_run(arena);
    return say(deeds, false, arena, &why) == ERR_OK
               ? ERR_OK
               : err_set(err, why.kind, "nothing was done, because %s", why.text);
}

void deeds_fail(struct deeds *deeds, size_t from, const struct err *why, struct arena *arena)
{
    for (size_t i = from; i < deeds->count; i++)
        deeds->list[i].error = arena_strdup(arena, i == from ? why->text : "not tried");
}

enum err_kind deeds_end(const struct deeds *deeds, struct arena *arena, struct err *err)
{
    struct err why;

    return say(deeds, true, arena, &why) == ERR_OK
               ? ERR_OK
               : err_set(err, why.kind,
                         "that it was begun is told, how it ended is not, because %s", why.text);
}
