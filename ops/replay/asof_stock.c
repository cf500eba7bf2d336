#include "ops/replay/asof_stock.h"

#include "ops/replay/stock_compare.h"
#include "runtime/settings.h"

#include <inttypes.h>

struct look {
    struct view sku;
    const struct schema_ids *ids;
    struct tally tally;
    size_t events;
    struct arena arena;
};

static bool is_of(const struct entry *entry, struct view sku)
{
    for (size_t i = 0; i < entry->item_count; i++)
        if (view_equal(entry->items[i].sku, sku))
            return true;
    return false;
}

static enum err_kind add_up(void *context, struct log_place *place,
                            const rd_kafka_message_t *message, struct err *err)
{
    struct look *look = context;
    struct stock_item room;
    struct record record;
    struct entry entry;

    (void)err;
    if (message == NULL)
        return ERR_OK;
    arena_reset(&look->arena);
    record_read(&record, message, look->ids, &look->arena);
    if (!record.is_event ||
        tally_entry_of(&entry, &room, record.type, record.event, NULL) != ERR_OK ||
        !is_of(&entry, look->sku))
        return ERR_OK;
    look->events++;
    tally_apply(&look->tally, &entry, record.envelope.time_us,
                &(struct tally_event){record.type, place->partition, record.envelope.number,
                                      message->offset, record.envelope.time_us},
                0);
    return ERR_OK;
}

static void take_cells(struct cells *out, const struct tally_sku *sku, struct arena *arena)
{
    const char *row = arena_printf(arena, "sku=%.*s", VIEW_PRINT(sku->code)).data;

    out->list = arena_array(arena, TALLY_UNITS, sizeof *out->list);
    for (int i = 0; i < TALLY_UNITS; i++)
        out->list[out->count++] = (struct cell){
            .table = &stock_fold.tables[0],
            .row = row,
            .column = stock_unit_name(i),
            .value = arena_printf(arena, "%" PRId64, sku->units[i]).data,
            .key = sku->code,
            .event = stock_event(&sku->by[i], arena),
        };
}

enum err_kind asof_stock(struct cells *out, size_t *events, struct view sku, struct until *at,
                         const struct schema_ids *ids, struct arena *arena, struct err *err)
{
    static const enum topic TOPIC = TOPIC_INVENTORY;
    struct look look = {.sku = sku, .ids = ids};
    struct log_reader reader;
    const struct tally_sku *found;
    enum err_kind kind = log_reader_open(&reader, setting_text("TRADEWIND_KAFKA"), &TOPIC, 1,
                                         (int32_t)setting_integer("TRADEWIND_PARTITIONS"), err);

    tally_init(&look.tally, INT64_MAX); /* receipts are not asked for */
    if (kind == ERR_OK)
        kind = at != NULL ? until_aim(at, &reader, err) : log_reader_aim_at_ends(&reader, err);
    if (kind == ERR_OK)
        kind = log_reader_run(&reader, add_up, &look, err);
    *out = (struct cells){0};
    *events = look.events;
    found = kind == ERR_OK ? lookup_find(&look.tally.skus, sku) : NULL;
    if (found != NULL)
        take_cells(out, found, arena);
    log_reader_close(&reader);
    tally_clear(&look.tally);
    arena_clear(&look.arena);
    return kind;
}
