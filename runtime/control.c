#include "runtime/control.h"

#include "runtime/json.h"

#include <stdio.h>

static const char *const TYPES[] = {
    [CONTROL_PUBLISHED] = "published",
    [CONTROL_NACK] = "nack",
    [CONTROL_GONE] = "gone",
};

void control_write(struct buf *out, const struct control *control)
{
    struct json_writer writer = {.out = out};

    json_object_start(&writer);
    json_member_str(&writer, "type", TYPES[control->type]);
    json_member_text(&writer, "source", control->source);
    json_member_text(&writer, "from", control->from);
    if (control->paused)
        json_member_bool(&writer, "paused", true);
    if (control->type == CONTROL_PUBLISHED) {
        json_key(&writer, "shards");
        json_object_start(&writer);
        for (size_t i = 0; i < control->count; i++) {
            char name[16];

            snprintf(name, sizeof name, "%d", control->shards[i]);
            json_member_int64(&writer, name, (int64_t)control->numbers[i]);
        }
        json_object_end(&writer);
    } else {
        json_member_int64(&writer, "shard", control->shards[0]);
        json_member_int64(&writer, "number", (int64_t)control->numbers[0]);
    }
    json_object_end(&writer);
}

/* As control_write writes it, so that one shard has one name: an object may hold "7" and "07". */
static bool read_shard_name(struct view name, int64_t *shard)
{
    bool is_plain = name.size == 1 || (name.size > 1 && name.data[0] >= '1' && name.data[0] <= '9');

    return is_plain && view_to_int64(name, shard) && *shard <= INT32_MAX;
}

static void read_shards(struct control *out, struct json_reader *reader, const struct json *root)
{
    const struct json *object = json_read_object(reader, root, "shards");
    int32_t *shards;
    uint64_t *numbers;

    if (object == NULL)
        return;
    shards = arena_array(reader->arena, object->count, sizeof *shards);
    numbers = arena_array(reader->arena, object->count, sizeof *numbers);
    for (size_t i = 0; i < object->count; i++) {
        int64_t shard, number;

        if (!read_shard_name(object->items[i].name, &shard) ||
            !json_to_int64(&object->items[i], &number) || number < 0) {
            json_fail(reader, &object->items[i], "want a shard and its number");
            return;
        }
        shards[i] = (int32_t)shard;
        numbers[i] = (uint64_t)number;
    }
    out->shards = shards;
    out->numbers = numbers;
    out->count = object->count;
}

static void read_one(struct control *out, struct json_reader *reader, const struct json *root)
{
    int32_t *shard = arena_alloc(reader->arena, sizeof *shard);
    uint64_t *number = arena_alloc(reader->arena, sizeof *number);

    *shard = (int32_t)json_read_int64(reader, root, "shard", 0, INT32_MAX);
    *number = (uint64_t)json_read_int64(reader, root, "number", 1, INT64_MAX);
    out->shards = shard;
    out->numbers = number;
    out->count = 1;
}

enum err_kind control_parse(struct control *out, struct view text, struct arena *arena,
                            struct err *err)
{
    struct json_reader reader = {.arena = arena};
    struct json *root;
    struct view type;
    enum err_kind kind = json_parse(&root, text, arena, err);
    size_t i = 0;

    if (kind != ERR_OK)
        return kind;
    *out = (struct control){0};
    type = json_read_text(&reader, root, "type", 1, 32);
    out->source = json_read_text(&reader, root, "source", 1, 64);
    out->from = json_read_text(&reader, root, "from", 1, 128);
    while (i < sizeof TYPES / sizeof TYPES[0] && !view_equals(type, TYPES[i]))
        i++;
    if (i == sizeof TYPES / sizeof TYPES[0])
        return err_set(err, ERR_REJECT, "control record of type %.*s: want published, nack or gone",
                       VIEW_PRINT(type));
    out->type = (enum control_type)i;
    out->paused = json_read_bool_optional(&reader, root, "paused", false);
    if (out->type == CONTROL_PUBLISHED)
        read_shards(out, &reader, root);
    else
        read_one(out, &reader, root);
    if (reader.failed)
        return err_set(err, ERR_REJECT, "control record: %s", reader.err.text);
    return ERR_OK;
}
