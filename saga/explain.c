#include "saga/explain.h"

#include "runtime/json.h"

#include <ctype.h>

/* ---- text ---- */

static void text_step(struct buf *out, const struct saga_step *step)
{
    const char *guard = saga_guard_name(step->guard);
    const char *action = saga_action_name(step->action);

    buf_printf(out, "    %s%s%s", saga_trigger_name(step->trigger), *guard != '\0' ? ", " : "",
               guard);
    if (step->next == step->state)
        buf_append_str(out, ": stays");
    else
        buf_printf(out, ": becomes %s", saga_state_name(step->part, step->next));
    if (*action != '\0')
        buf_printf(out, ", does %s", action);
    if (step->publishes != EVENT_NONE)
        buf_printf(out, ", publishes %s", event_type_name(step->publishes));
    buf_printf(out, "\n        %s\n", step->because);
}

static void text_state(struct buf *out, enum saga_part part, int state)
{
    buf_printf(out, "\n  %s: %s%s\n", saga_state_name(part, state), saga_state_meaning(part, state),
               saga_state_is_final(part, state) ? " (may be the end)" : "");
    for (size_t i = 0; i < saga_step_count; i++) {
        if (saga_steps[i].part == part && saga_steps[i].state == state)
            text_step(out, &saga_steps[i]);
    }
    for (size_t i = 0; i < saga_impossible_count; i++) {
        if (saga_impossibles[i].part == part && saga_impossibles[i].state == state)
            buf_printf(out, "    never %s: %s\n", saga_trigger_name(saga_impossibles[i].trigger),
                       saga_impossibles[i].because);
    }
}

static void text_part(struct buf *out, enum saga_part part)
{
    const char *separator = "reads ";

    buf_printf(out, "%s: %s\n", saga_part_name(part), saga_part_meaning(part));
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        if (!saga_reads(part, topic))
            continue;
        buf_printf(out, "%s%s", separator, topic_name(topic));
        separator = ", ";
    }
    buf_append_str(out, "\n");
    for (int state = 0; state < SAGA_STATE_MAX; state++) {
        if (saga_state_exists(part, state))
            text_state(out, part, state);
    }
}

void saga_explain_text(struct buf *out, enum saga_part part)
{
    if (part != PART_NONE) {
        text_part(out, part);
        return;
    }
    for (part = 0; part < PART_COUNT; part++) {
        if (part > 0)
            buf_append_str(out, "\n");
        text_part(out, part);
    }
}

/* ---- JSON ---- */

static void json_states(struct json_writer *writer, enum saga_part part)
{
    json_key(writer, "states");
    json_array_start(writer);
    for (int state = 0; state < SAGA_STATE_MAX; state++) {
        if (!saga_state_exists(part, state))
            continue;
        json_object_start(writer);
        json_member_str(writer, "name", saga_state_name(part, state));
        json_member_int64(writer, "number", state);
        json_member_bool(writer, "final", saga_state_is_final(part, state));
        json_member_str(writer, "meaning", saga_state_meaning(part, state));
        json_object_end(writer);
    }
    json_array_end(writer);
}

/* A member that is missing where there is nothing to say. */
static void json_member_word(struct json_writer *writer, const char *name, const char *word)
{
    if (*word != '\0')
        json_member_str(writer, name, word);
}

static void json_steps(struct json_writer *writer, enum saga_part part)
{
    json_key(writer, "steps");
    json_array_start(writer);
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->part != part)
            continue;
        json_object_start(writer);
        json_member_str(writer, "state", saga_state_name(part, step->state));
        json_member_str(writer, "trigger", saga_trigger_name(step->trigger));
        json_member_word(writer, "guard", saga_guard_name(step->guard));
        json_member_str(writer, "next", saga_state_name(part, step->next));
        json_member_word(writer, "action", saga_action_name(step->action));
        json_member_word(writer, "publishes", event_type_name(step->publishes));
        json_member_str(writer, "because", step->because);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void json_impossibles(struct json_writer *writer, enum saga_part part)
{
    json_key(writer, "impossible");
    json_array_start(writer);
    for (size_t i = 0; i < saga_impossible_count; i++) {
        if (saga_impossibles[i].part != part)
            continue;
        json_object_start(writer);
        json_member_str(writer, "state", saga_state_name(part, saga_impossibles[i].state));
        json_member_str(writer, "trigger", saga_trigger_name(saga_impossibles[i].trigger));
        json_member_str(writer, "because", saga_impossibles[i].because);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void json_drops(struct json_writer *writer, enum saga_part part)
{
    json_key(writer, "droppable");
    json_array_start(writer);
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        if (saga_drop(part, type) == NULL)
            continue;
        json_object_start(writer);
        json_member_str(writer, "event", event_type_name(type));
        json_member_str(writer, "because", saga_drop(part, type));
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void json_part(struct json_writer *writer, enum saga_part part)
{
    json_object_start(writer);
    json_member_str(writer, "name", saga_part_name(part));
    json_member_str(writer, "meaning", saga_part_meaning(part));
    json_key(writer, "reads");
    json_array_start(writer);
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        if (saga_reads(part, topic))
            json_put_str(writer, topic_name(topic));
    }
    json_array_end(writer);
    json_key(writer, "reacts_to");
    json_array_start(writer);
    for (enum saga_trigger trigger = TRIGGER_NONE + 1; trigger < TRIGGER_COUNT; trigger++) {
        if (saga_reacts(part, trigger))
            json_put_str(writer, saga_trigger_name(trigger));
    }
    json_array_end(writer);
    json_states(writer, part);
    json_steps(writer, part);
    json_impossibles(writer, part);
    json_drops(writer, part);
    json_object_end(writer);
}

static void json_guards(struct json_writer *writer)
{
    json_key(writer, "guards");
    json_array_start(writer);
    for (enum saga_guard guard = GUARD_ALWAYS + 1; guard < GUARD_COUNT; guard++) {
        json_object_start(writer);
        json_member_str(writer, "name", saga_guard_name(guard));
        json_member_str(writer, "meaning", saga_guard_meaning(guard));
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void json_actions(struct json_writer *writer)
{
    json_key(writer, "actions");
    json_array_start(writer);
    for (enum saga_action action = ACTION_NOTHING + 1; action < ACTION_COUNT; action++) {
        json_object_start(writer);
        json_member_str(writer, "name", saga_action_name(action));
        json_member_word(writer, "undone_by", saga_action_name(saga_action_undo(action)));
        json_member_str(writer, "meaning", saga_action_meaning(action));
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void json_triggers(struct json_writer *writer)
{
    json_key(writer, "triggers");
    json_array_start(writer);
    for (enum saga_trigger trigger = (enum saga_trigger)EVENT_COUNT; trigger < TRIGGER_COUNT;
         trigger++) {
        json_object_start(writer);
        json_member_str(writer, "name", saga_trigger_name(trigger));
        json_member_str(writer, "source", saga_trigger_source(trigger));
        json_member_str(writer, "meaning", saga_trigger_meaning(trigger));
        json_object_end(writer);
    }
    json_array_end(writer);
}

void saga_explain_json(struct buf *out)
{
    struct json_writer writer = {.out = out};

    json_object_start(&writer);
    json_key(&writer, "parts");
    json_array_start(&writer);
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        json_part(&writer, part);
    json_array_end(&writer);
    json_triggers(&writer);
    json_guards(&writer);
    json_actions(&writer);
    json_object_end(&writer);
    buf_append_str(out, "\n");
}

/* ---- Markdown ---- */

/* A name as code, or a dash: empty cells make a table hard to read. */
static void cell(struct buf *out, const char *name)
{
    if (*name == '\0')
        buf_append_str(out, " - |");
    else
        buf_printf(out, " `%s` |", name);
}

static void markdown_states(struct buf *out, enum saga_part part)
{
    buf_append_str(out, "| state | number | may be the end | meaning |\n|---|---|---|---|\n");
    for (int state = 0; state < SAGA_STATE_MAX; state++) {
        if (saga_state_exists(part, state))
            buf_printf(out, "| `%s` | %d | %s | %s |\n", saga_state_name(part, state), state,
                       saga_state_is_final(part, state) ? "yes" : "no",
                       saga_state_meaning(part, state));
    }
}

static void markdown_steps(struct buf *out, enum saga_part part)
{
    buf_append_str(out, "\n| in state | sees | when | becomes | does | publishes | because |\n"
                        "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->part != part)
            continue;
        buf_append_str(out, "|");
        cell(out, saga_state_name(part, step->state));
        cell(out, saga_trigger_name(step->trigger));
        cell(out, saga_guard_name(step->guard));
        cell(out, saga_state_name(part, step->next));
        cell(out, saga_action_name(step->action));
        cell(out, event_type_name(step->publishes));
        buf_printf(out, " %s |\n", step->because);
    }
}

static void markdown_impossibles(struct buf *out, enum saga_part part)
{
    buf_append_str(out, "\n| in state | never sees | because |\n|---|---|---|\n");
    for (size_t i = 0; i < saga_impossible_count; i++) {
        const struct saga_impossible *pair = &saga_impossibles[i];

        if (pair->part == part)
            buf_printf(out, "| `%s` | `%s` | %s |\n", saga_state_name(part, pair->state),
                       saga_trigger_name(pair->trigger), pair->because);
    }
}

static void markdown_words(struct buf *out)
{
    buf_append_str(out, "\n## The words\n\n| trigger from outside | comes from | meaning |\n"
                        "|---|---|---|\n");
    for (enum saga_trigger trigger = (enum saga_trigger)EVENT_COUNT; trigger < TRIGGER_COUNT;
         trigger++)
        buf_printf(out, "| `%s` | %s | %s |\n", saga_trigger_name(trigger),
                   saga_trigger_source(trigger), saga_trigger_meaning(trigger));
    buf_append_str(out, "\n| when | meaning |\n|---|---|\n");
    for (enum saga_guard guard = GUARD_ALWAYS + 1; guard < GUARD_COUNT; guard++)
        buf_printf(out, "| `%s` | %s |\n", saga_guard_name(guard), saga_guard_meaning(guard));
    buf_append_str(out, "\n| does | undone by | meaning |\n|---|---|---|\n");
    for (enum saga_action action = ACTION_NOTHING + 1; action < ACTION_COUNT; action++) {
        buf_printf(out, "| `%s` |", saga_action_name(action));
        cell(out, saga_action_name(saga_action_undo(action)));
        buf_printf(out, " %s |\n", saga_action_meaning(action));
    }
}

void saga_explain_markdown(struct buf *out)
{
    buf_append_str(out, "<!-- made from saga/table.def by docs/saga/draw: change that -->\n\n"
                        "# The saga's table\n\nWhat it means: [saga.md](../saga.md).\n");
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        const char *name = saga_part_name(part);

        buf_printf(out, "\n## %c%s\n\nThe part that %s.\n\n![%s](%s.svg)\n\n",
                   toupper((unsigned char)name[0]), name + 1, saga_part_meaning(part), name, name);
        markdown_states(out, part);
        markdown_steps(out, part);
        markdown_impossibles(out, part);
    }
    markdown_words(out);
}
