#include "saga/draw.h"

static void begin(struct buf *out, const char *name)
{
    buf_printf(out,
               "// made from saga/table.def by docs/saga/draw: change that\n"
               "digraph %s {\n"
               "    graph [rankdir=TB, fontname=\"Helvetica\"];\n"
               "    node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=12];\n"
               "    edge [fontname=\"Helvetica\", fontsize=9];\n",
               name);
}

/* ---- the flow ---- */

/* One arrow from a source to a part, with all that the part reacts to or waits for. */
static void flow_edge(struct buf *out, const char *source, enum saga_part part)
{
    bool drawn = false;

    for (enum saga_trigger trigger = TRIGGER_NONE + 1; trigger < TRIGGER_COUNT; trigger++) {
        bool used = false;

        for (size_t i = 0; i < saga_step_count; i++)
            used |= saga_steps[i].part == part && saga_steps[i].trigger == trigger;
        if (!used || strcmp(saga_trigger_source(trigger), source) != 0)
            continue;
        if (!drawn)
            buf_printf(out, "    \"%s\" -> \"%s\" [label=\"", source, saga_part_name(part));
        buf_printf(out, "%s\\l", saga_trigger_name(trigger));
        drawn = true;
    }
    if (drawn)
        buf_append_str(out, "\"];\n");
}

void saga_draw_flow(struct buf *out)
{
    static const char *const outside[] = {"customer", "operator", "clock", "provider",
                                          "mail server"};

    begin(out, "flow");
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        buf_printf(out, "    \"%s\" [shape=plaintext];\n", outside[i]);
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        buf_printf(out, "    \"%s\";\n", saga_part_name(part));
    for (enum saga_part reader = 0; reader < PART_COUNT; reader++) {
        for (enum saga_part writer = 0; writer < PART_COUNT; writer++)
            flow_edge(out, saga_part_name(writer), reader);
        for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
            flow_edge(out, outside[i], reader);
    }
    buf_append_str(out, "}\n");
}

/* ---- a part ---- */

static bool changes_something(const struct saga_step *step)
{
    return step->next != step->state || step->publishes != EVENT_NONE;
}

/* One arrow between two states, with a line for each step that takes it. */
static void part_edge(struct buf *out, enum saga_part part, int from, int to)
{
    bool drawn = false;

    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->part != part || step->state != from || step->next != to ||
            !changes_something(step))
            continue;
        if (!drawn)
            buf_printf(out, "    %s -> %s [label=\"", saga_state_name(part, from),
                       saga_state_name(part, to));
        buf_printf(out, "%s", saga_trigger_name(step->trigger));
        if (step->guard != GUARD_ALWAYS)
            buf_printf(out, " [%s]", saga_guard_name(step->guard));
        if (step->publishes != EVENT_NONE)
            buf_printf(out, " / %s", event_type_name(step->publishes));
        buf_append_str(out, "\\l");
        drawn = true;
    }
    if (drawn)
        buf_append_str(out, "\"];\n");
}

void saga_draw_part(struct buf *out, enum saga_part part)
{
    begin(out, saga_part_name(part));
    for (int state = 0; state < SAGA_STATE_MAX; state++) {
        if (saga_state_exists(part, state))
            buf_printf(out, "    %s [peripheries=%d];\n", saga_state_name(part, state),
                       saga_state_is_final(part, state) ? 2 : 1);
    }
    for (int from = 0; from < SAGA_STATE_MAX; from++) {
        for (int to = 0; to < SAGA_STATE_MAX; to++) {
            if (saga_state_exists(part, from) && saga_state_exists(part, to))
                part_edge(out, part, from, to);
        }
    }
    buf_append_str(out, "}\n");
}
