#include "tests/unit/events/random_event.h"

#include <assert.h>

/* splitmix64: any seed will do. */
uint64_t dice_roll(struct dice *dice, uint64_t below)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* All lengths of a varint come up, and its ends. */
static int64_t random_long(struct dice *dice, unsigned bits)
{
    uint64_t value = dice_roll(dice, UINT64_MAX) >> (64 - bits + dice_roll(dice, bits));

    return dice_roll(dice, 2) == 0 ? (int64_t)value : -(int64_t)value - 1;
}

static struct view random_text(struct dice *dice, struct arena *arena)
{
    static const char *const letters[] = {
        "a", "B", "7", " ", "\"", "\\", "\n", "\x01", "é", "€", "\xf0\x9f\x8e\x81"};
    AUTO(buf_clear) struct buf text = {0};
    uint64_t count = dice_roll(dice, dice_roll(dice, 10) == 0 ? 300 : 12);

    for (uint64_t i = 0; i < count; i++)
        buf_append_str(&text, letters[dice_roll(dice, sizeof letters / sizeof letters[0])]);
    return arena_view(arena, buf_view(&text));
}

static struct view random_bytes(struct dice *dice, struct arena *arena)
{
    uint64_t count = dice_roll(dice, 40);
    char *bytes = arena_alloc(arena, count + 1);

    for (uint64_t i = 0; i < count; i++)
        bytes[i] = (char)dice_roll(dice, 256);
    return view_of(bytes, count);
}

static void fill(struct dice *dice, const struct schema *schema, char *to, struct arena *arena)
{
    const struct schema *part;
    struct view view;
    int32_t narrow;
    int64_t whole;
    size_t count;
    char *memory;

    switch (schema->type) {
    case SCHEMA_INT:
        narrow = (int32_t)random_long(dice, 31);
        memcpy(to, &narrow, sizeof narrow);
        break;
    case SCHEMA_LONG:
        whole = random_long(dice, 63);
        memcpy(to, &whole, sizeof whole);
        break;
    case SCHEMA_ENUM:
        narrow = (int32_t)dice_roll(dice, schema->symbol_count);
        memcpy(to, &narrow, sizeof narrow);
        break;
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        view = schema->type == SCHEMA_STRING ? random_text(dice, arena) : random_bytes(dice, arena);
        memcpy(to, &view, sizeof view);
        break;
    case SCHEMA_RECORD:
        for (size_t i = 0; i < schema->field_count; i++)
            fill(dice, schema->fields[i].type, to + schema->fields[i].offset, arena);
        break;
    case SCHEMA_ARRAY:
        part = schema_item(schema);
        count = dice_roll(dice, 8);
        memory = count > 0 ? arena_array(arena, count, part->size) : NULL;
        for (size_t i = 0; i < count; i++)
            fill(dice, part, memory + i * part->size, arena);
        memcpy(to, &memory, sizeof memory);
        memcpy(to + sizeof memory, &count, sizeof count);
        break;
    case SCHEMA_UNION:
        part = schema_optional(schema);
        if (dice_roll(dice, 3) == 0)
            break; /* null */
        if (part->type == SCHEMA_STRING || part->type == SCHEMA_BYTES) {
            fill(dice, part, to, arena);
            break;
        }
        memory = arena_alloc(arena, part->size);
        fill(dice, part, memory, arena);
        memcpy(to, &memory, sizeof memory);
        break;
    case SCHEMA_BOOLEAN:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
    case SCHEMA_NULL:
    case SCHEMA_MAP:
    case SCHEMA_FIXED:
        assert(!"none of our events has one yet");
    }
}

void *random_event(struct dice *dice, enum event_type type, struct arena *arena)
{
    void *event = arena_alloc(arena, event_schema(type)->size);

    fill(dice, event_schema(type), event, arena);
    return event;
}
