#include "ops/replay/tally_file.h"

#include "runtime/bson_read.h"
#include "runtime/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT 1
#define SAVE_PREFIX "save_"
#define NAME_SIZE 32
#define VALID "valid"
#define PART_BYTES (1u << 20)
#define LINES_MAX (16u << 20)
#define PER_REPLY 10

/* --- Writing ---------------------------------------------------------------------------------- */

struct writing {
    struct mongo *mongo;
    const char *name;
    int64_t parts;
    struct buf lines;
    enum err_kind kind;
    struct err *err;
};

static void end_part(struct writing *writing, const char *what, bool is_last)
{
    AUTO(bson_destroy) bson_t *document = NULL;
    char id[32];

    if (writing->lines.size == 0 || (writing->lines.size < PART_BYTES && !is_last) ||
        writing->kind != ERR_OK)
        return;
    document = bson_new();
    snprintf(id, sizeof id, "%010" PRId64, writing->parts++);
    BSON_APPEND_UTF8(document, "_id", id);
    bson_append_utf8(document, what, -1, writing->lines.data, (int)writing->lines.size);
    writing->kind = mongo_insert(writing->mongo, writing->name, document, NULL, writing->err);
    buf_reset(&writing->lines);
}

static void write_event(struct buf *lines, const struct tally_event *event)
{
    line_int64(lines, event->type);
    line_int64(lines, event->partition);
    line_int64(lines, (int64_t)event->number);
    line_int64(lines, event->offset);
    line_int64(lines, event->time_us);
}

static void write_skus(struct writing *writing, const struct tally *tally)
{
    const struct tally_sku *sku;
    size_t place = 0;

    while ((sku = lookup_next(&tally->skus, &place)) != NULL) {
        line_text(&writing->lines, sku->code);
        for (int i = 0; i < TALLY_UNITS; i++) {
            line_int64(&writing->lines, sku->units[i]);
            write_event(&writing->lines, &sku->by[i]);
        }
        line_end(&writing->lines);
        end_part(writing, "skus", false);
    }
    end_part(writing, "skus", true);
}

static void write_orders(struct writing *writing, const struct tally *tally)
{
    const struct tally_order *order;
    size_t place = 0;

    while ((order = lookup_next(&tally->orders, &place)) != NULL) {
        line_text(&writing->lines, order->id);
        line_int64(&writing->lines, order->state);
        line_int64(&writing->lines, (int64_t)order->cause);
        line_int64(&writing->lines, (int64_t)order->asked);
        line_int64(&writing->lines, order->closed);
        write_event(&writing->lines, &order->by);
        for (size_t i = 0; i < order->item_count; i++) {
            line_text(&writing->lines, order->items[i].sku);
            line_int64(&writing->lines, order->items[i].quantity);
        }
        line_end(&writing->lines);
        end_part(writing, "orders", false);
    }
    end_part(writing, "orders", true);
}

static void write_receipts(struct writing *writing, const struct tally *tally)
{
    const struct tally_receipt *receipt;
    size_t place = 0;

    while ((receipt = lookup_next(&tally->receipts, &place)) != NULL) {
        line_text(&writing->lines, receipt->id);
        line_text(&writing->lines, receipt->sku);
        line_int64(&writing->lines, receipt->quantity);
        line_int64(&writing->lines, receipt->time_us);
        write_event(&writing->lines, &receipt->by);
        line_end(&writing->lines);
        end_part(writing, "receipts", false);
    }
    end_part(writing, "receipts", true);
}

static void write_asides(struct writing *writing, const struct tally_about *about)
{
    for (size_t i = 0; i < about->aside_count; i++) {
        line_text(&writing->lines, about->aside_keys[i]);
        line_end(&writing->lines);
    }
    end_part(writing, "asides", true);
}

static void write_valid(struct writing *writing, const struct log_reader *reader,
                        const struct tally_about *about)
{
    AUTO(bson_destroy) bson_t *document = bson_new();
    struct buf *lines = &writing->lines;

    for (size_t i = 0; i < reader->place_count; i++) {
        const struct log_place *place = &reader->places[i];

        line_text(lines, view_str(topic_name(place->topic)));
        line_int64(lines, place->partition);
        line_int64(lines, place->next_offset);
        line_int64(lines, (int64_t)place->high_water);
        line_int64(lines, place->fresh);
        line_end(lines);
    }
    BSON_APPEND_UTF8(document, "_id", VALID);
    BSON_APPEND_INT64(document, "format", FORMAT);
    BSON_APPEND_INT64(document, "parts", writing->parts);
    BSON_APPEND_INT64(document, "partitions", reader->partitions);
    BSON_APPEND_INT64(document, "unreadable", (int64_t)about->unreadable);
    BSON_APPEND_UTF8(document, "example",
                     view_is_utf8(view_str(about->example)) ? about->example : "not UTF-8");
    BSON_APPEND_INT64(document, "swap_number", (int64_t)about->swap_number);
    BSON_APPEND_UTF8(document, "swap_state", about->swap_state);
    bson_append_utf8(document, "position", -1, lines->data, (int)lines->size);
    if (writing->kind == ERR_OK)
        writing->kind = mongo_insert(writing->mongo, writing->name, document, NULL, writing->err);
}

static enum err_kind drop_all(struct mongo *mongo, char *const *names, size_t count,
                              struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; kind == ERR_OK && i < count; i++)
        kind = mongo_drop(mongo, names[i], err);
    return kind;
}

static uint64_t number_of(const char *name)
{
    return strtoull(name + strlen(SAVE_PREFIX), NULL, 10);
}

enum err_kind tally_save(struct mongo *mongo, const struct tally *tally,
                         const struct log_reader *reader, const struct tally_about *about,
                         struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    char name[NAME_SIZE];
    struct writing writing = {.mongo = mongo, .name = name, .err = err};
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    if (kind != ERR_OK)
        return kind;
    snprintf(name, sizeof name, SAVE_PREFIX "%020" PRIu64,
             count > 0 ? number_of(names[count - 1]) + 1 : 1);
    write_skus(&writing, tally);
    write_orders(&writing, tally);
    write_receipts(&writing, tally);
    write_asides(&writing, about);
    write_valid(&writing, reader, about);
    buf_clear(&writing.lines);
    return writing.kind;
}

enum err_kind tally_drop_older(struct mongo *mongo, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    for (size_t i = count; kind == ERR_OK && i-- > 0;) {
        AUTO(bson_destroy) bson_t *valid = NULL;

        kind = mongo_find(mongo, names[i], VALID, &valid, err);
        if (kind == ERR_OK && valid != NULL)
            return drop_all(mongo, names, i, err);
    }
    return kind;
}

enum err_kind tally_drop(struct mongo *mongo, bool *dropped, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    if (kind == ERR_OK && count > 0 && dropped != NULL)
        *dropped = true;
    return kind == ERR_OK ? drop_all(mongo, names, count, err) : kind;
}

/* --- Reading ---------------------------------------------------------------------------------- */

struct reading {
    struct tally *tally;
    struct tally_about *about;
    struct arena *arena;
    struct bson_reader reader;
    int64_t parts;
};

static int64_t next_number(struct reading *reading, struct view *line)
{
    int64_t number = 0;

    if (!line_next_int64(line, &number))
        bson_fail(&reading->reader, "a line of it has something else where a number belongs");
    return number;
}

static struct tally_event read_event(struct reading *reading, struct view *line)
{
    struct tally_event event = {.type = (enum event_type)next_number(reading, line)};

    event.partition = (int32_t)next_number(reading, line);
    event.number = (uint64_t)next_number(reading, line);
    event.offset = next_number(reading, line);
    event.time_us = next_number(reading, line);
    return event;
}

static void read_sku(struct reading *reading, struct view line)
{
    struct tally_sku *sku = tally_sku(reading->tally, line_next_text(&line));

    for (int i = 0; i < TALLY_UNITS; i++) {
        sku->units[i] = next_number(reading, &line);
        sku->by[i] = read_event(reading, &line);
    }
}

static void read_order(struct reading *reading, struct view line)
{
    struct tally_order *order = tally_order(reading->tally, line_next_text(&line));
    struct stock_item *items;
    size_t count = 0;

    order->state = (enum saga_inventory_state)next_number(reading, &line);
    order->cause = (uint64_t)next_number(reading, &line);
    order->asked = (uint64_t)next_number(reading, &line);
    order->closed = (enum order_outcome)next_number(reading, &line);
    order->by = read_event(reading, &line);
    items = arena_array(reading->arena, line_count(line) / 2 + 1, sizeof *items);
    while (line.size > 0 && reading->reader.kind == ERR_OK) {
        items[count].sku = line_next_text(&line);
        items[count++].quantity = next_number(reading, &line);
    }
    tally_set_items(order, items, count);
}

static void read_receipt(struct reading *reading, struct view line)
{
    struct tally_receipt receipt = {.id = line_next_text(&line)};

    receipt.sku = line_next_text(&line);
    receipt.quantity = next_number(reading, &line);
    receipt.time_us = next_number(reading, &line);
    receipt.by = read_event(reading, &line);
    tally_receive(reading->tally, &receipt);
}

static void read_aside(struct reading *reading, struct view line)
{
    struct tally_about *about = reading->about;

    about->aside_keys =
        mem_grow(about->aside_keys, about->aside_count + 1, sizeof *about->aside_keys);
    about->aside_keys[about->aside_count++] = arena_view(reading->arena, line);
}

static enum err_kind read_part(void *context, const bson_t *document, struct err *err)
{
    static const struct {
        const char *name;
        void (*read)(struct reading *reading, struct view line);
    } PARTS[] = {{"skus", read_sku},
                 {"orders", read_order},
                 {"receipts", read_receipt},
                 {"asides", read_aside}};
    struct reading *reading = context;

    (void)err;
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        struct view rest, line;

        if (!bson_has_field(document, PARTS[i].name))
            continue;
        reading->parts++;
        rest = bson_read_text(&reading->reader, document, PARTS[i].name, LINES_MAX);
        while (reading->reader.kind == ERR_OK && lines_next(&rest, &line))
            PARTS[i].read(reading, line);
    }
    return reading->reader.kind;
}

static void read_position(struct reading *reading, struct log_reader *reader,
                          const bson_t *document)
{
    struct view rest = bson_read_text(&reading->reader, document, "position", LINES_MAX), line;

    while (reading->reader.kind == ERR_OK && lines_next(&rest, &line)) {
        struct view topic = arena_view(reading->arena, line_next_text(&line));
        int32_t partition = (int32_t)next_number(reading, &line);
        struct log_place *place = log_reader_place(reader, topic_from_name(topic.data), partition);
        int64_t next_offset = next_number(reading, &line);
        uint64_t high_water = (uint64_t)next_number(reading, &line);
        bool fresh = next_number(reading, &line) != 0;

        if (place != NULL)
            log_place_start(place, next_offset, high_water, fresh);
    }
}

static void read_about(struct tally_about *about, struct bson_reader *reader, const bson_t *valid)
{
    struct view example = bson_read_text(reader, valid, "example", sizeof about->example - 1);
    struct view state = bson_read_text(reader, valid, "swap_state", sizeof about->swap_state - 1);

    about->unreadable = (uint64_t)bson_read_int64(reader, valid, "unreadable", 0, INT64_MAX);
    about->swap_number = (uint64_t)bson_read_int64(reader, valid, "swap_number", 0, INT64_MAX);
    snprintf(about->example, sizeof about->example, "%.*s", VIEW_PRINT(example));
    snprintf(about->swap_state, sizeof about->swap_state, "%.*s", VIEW_PRINT(state));
}

static enum err_kind read_save(struct reading *reading, struct mongo *mongo, const char *name,
                               const bson_t *valid, struct log_reader *reader, struct err *err)
{
    struct bson_reader *bson = &reading->reader;
    int64_t parts = bson_read_int64(bson, valid, "parts", 0, INT32_MAX);
    int64_t partitions = bson_read_int64(bson, valid, "partitions", 1, INT32_MAX);
    enum err_kind kind = bson->kind;

    if (kind == ERR_OK && (bson_read_int64(bson, valid, "format", 0, INT32_MAX) != FORMAT ||
                           partitions != reader->partitions))
        return err_set(err, ERR_REJECT,
                       "the shadow of inventory was begun by another version of it: begin again "
                       "with --fresh");
    if (kind == ERR_OK)
        kind = mongo_read(mongo, name, PER_REPLY, read_part, reading, err);
    if (kind == ERR_OK && reading->parts != parts)
        return err_set(err, ERR_RETRY, "%s: %" PRId64 " parts are there, want %" PRId64, name,
                       reading->parts, parts);
    read_position(reading, reader, valid);
    return kind == ERR_OK ? bson->kind : kind;
}

enum err_kind tally_load(bool *found, struct mongo *mongo, struct tally *tally,
                         struct log_reader *reader, struct tally_about *about, struct arena *arena,
                         enum err_kind (*counts)(void *context, const struct tally_about *about,
                                                 bool *yes, struct err *err),
                         void *context, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    struct reading reading = {.tally = tally, .about = about, .arena = arena};
    size_t count;
    enum err_kind kind = mongo_collections(mongo, SAVE_PREFIX, &names, &count, err);

    reading.reader = (struct bson_reader){.what = "the shadow of inventory", .err = err};
    *found = false;
    for (size_t i = count; kind == ERR_OK && i-- > 0 && !*found;) {
        AUTO(bson_destroy) bson_t *valid = NULL;

        kind = mongo_find(mongo, names[i], VALID, &valid, err);
        if (kind != ERR_OK || valid == NULL)
            continue;
        read_about(about, &reading.reader, valid);
        *found = true;
        kind = reading.reader.kind;
        if (kind == ERR_OK && counts != NULL)
            kind = counts(context, about, found, err);
        if (kind == ERR_OK && *found)
            kind = read_save(&reading, mongo, names[i], valid, reader, err);
    }
    return kind;
}
