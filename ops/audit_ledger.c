#include "ops/audit_ledger.h"

#include "runtime/bson_read.h"
#include "runtime/lines.h"
#include "runtime/mongo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LEDGER "ledger_"
#define SNAPSHOT "snapshot_"
#define PER_REPLY 8 /* documents of up to 4 MiB; a reply above 48 MB breaks */
#define TEXT_MAX 1024
#define COUNT_MAX (1u << 20)
#define LINES_MAX (16u << 20)

/* A dead letter that is not removed yet; few, and kept only for their keys. */
struct letter {
    int64_t id;
    struct view key;
    const char *reason, *error;
    bool has_number, removed;
};

struct ledger_reading {
    struct audit *audit;
    struct mongo *mongo;
    uint64_t number;        /* of the last document that is in */
    bool is_valid;          /* the snapshot that is read has its last document */
    uint64_t *last_numbers; /* in the arena; NULL: nothing is read yet */
    struct view warehouse;
    struct letter *letters;
    size_t letter_count, letter_capacity;
    bson_t **documents; /* of one collection, to be sorted */
    size_t document_count, document_capacity;
};

/* --- Entries
 * --------------------------------------------------------------------------------------- */

enum place { ON_HAND, HELD, SOLD, OUTSIDE };

static const struct {
    const char *kind;
    enum place from, to; /* equal: nothing moves */
} ENTRIES[] = {
    {"receive", OUTSIDE, ON_HAND},  {"hold", ON_HAND, HELD},      {"reject", OUTSIDE, OUTSIDE},
    {"sell", HELD, SOLD},           {"unhold", HELD, ON_HAND},    {"take_back", SOLD, ON_HAND},
    {"remember", OUTSIDE, OUTSIDE}, {"forget", OUTSIDE, OUTSIDE},
};

static int64_t *units_at(struct world_sku *sku, enum place place, int64_t *outside)
{
    switch (place) {
    case ON_HAND:
        return &sku->ledger.on_hand;
    case HELD:
        return &sku->ledger.held;
    case SOLD:
        return &sku->ledger.sold;
    case OUTSIDE:
        break;
    }
    return outside;
}

static void move_units(struct ledger_reading *reading, enum place from, enum place to,
                       struct view code, int64_t quantity)
{
    struct audit *audit = reading->audit;
    struct world_sku *sku = world_sku(audit->world, code);
    int64_t outside = INT64_MAX, *source = units_at(sku, from, &outside);

    sku->ledger.exists = true;
    sku->ledger.received += from == OUTSIDE ? quantity : 0;
    *source -= quantity;
    *units_at(sku, to, &outside) += quantity;
    if (*source < 0 && audit->ledger_negative++ == 0)
        audit->ledger_negative_example =
            arena_printf(audit->arena,
                         "document %" PRIu64 " moves %" PRId64 " of %.*s, which leaves %" PRId64,
                         reading->number, quantity, VIEW_PRINT(code), *source)
                .data;
}

/* A number of a line: what is none ends the reading. */
static int64_t next_number(struct bson_reader *reader, struct view *line)
{
    int64_t number = 0;

    if (!line_next_int64(line, &number))
        bson_fail(reader, "a line of it has something else where a number belongs");
    return number;
}

/* Kind and order, then SKU and quantity in turn: schemas/mongo/ledger.json. */
static void read_entry(struct ledger_reading *reading, struct bson_reader *reader, struct view line)
{
    struct view kind = line_next_text(&line);
    size_t i = 0;

    while (i < sizeof ENTRIES / sizeof ENTRIES[0] && !view_equals(kind, ENTRIES[i].kind))
        i++;
    if (i == sizeof ENTRIES / sizeof ENTRIES[0]) {
        bson_fail(reader, "there is no kind of entry '%.*s'", VIEW_PRINT(kind));
        return;
    }
    reading->audit->ledger_entries++;
    line_next_text(&line);
    while (line.size > 0 && reader->kind == ERR_OK) {
        struct view sku = line_next_text(&line);
        int64_t quantity = next_number(reader, &line);

        if (reader->kind == ERR_OK && ENTRIES[i].from != ENTRIES[i].to)
            move_units(reading, ENTRIES[i].from, ENTRIES[i].to, sku, quantity);
    }
}

static void read_letters(struct ledger_reading *reading, struct bson_reader *reader,
                         const bson_t *document)
{
    struct bson_list letters = bson_read_array(reader, document, "dead_letters", COUNT_MAX);
    struct arena *arena = reading->audit->arena;

    for (size_t i = 0; i < letters.count && reader->kind == ERR_OK; i++) {
        struct letter letter = {0};
        bson_t dead;

        bson_next_document(&letters, &dead);
        letter.id = bson_read_int64(reader, &dead, "id", 1, INT64_MAX);
        letter.has_number = bson_read_int64(reader, &dead, "number", 0, INT64_MAX) > 0;
        letter.key = arena_view(arena, bson_read_binary(reader, &dead, "key"));
        letter.reason = arena_view(arena, bson_read_text(reader, &dead, "reason", TEXT_MAX)).data;
        letter.error = arena_view(arena, bson_read_text(reader, &dead, "error", TEXT_MAX)).data;
        reading->letters = mem_room(reading->letters, reading->letter_count,
                                    &reading->letter_capacity, sizeof *reading->letters);
        if (reader->kind == ERR_OK)
            reading->letters[reading->letter_count++] = letter;
    }
}

static void remove_letters(struct ledger_reading *reading, struct bson_reader *reader,
                           const bson_t *document)
{
    struct bson_list removed = bson_read_array(reader, document, "removed_letters", COUNT_MAX);

    for (size_t i = 0; i < removed.count && reader->kind == ERR_OK; i++) {
        int64_t id = bson_next_int64(&removed, 1, INT64_MAX);

        for (size_t l = 0; l < reading->letter_count; l++)
            reading->letters[l].removed |= reading->letters[l].id == id;
    }
}

/* What a document says of the whole ledger: the last numbers and the warehouse. */
static void read_standing(struct ledger_reading *reading, struct bson_reader *reader,
                          const bson_t *document)
{
    struct audit *audit = reading->audit;
    struct bson_list list = bson_read_array(reader, document, "last_numbers", COUNT_MAX);
    size_t partitions = (size_t)audit->world->partitions;

    if (reading->last_numbers == NULL)
        reading->last_numbers =
            arena_array(audit->arena, partitions, sizeof *reading->last_numbers);
    /* One more for what operators do, in ledgers that know of it. */
    if (list.count != partitions && list.count != partitions + 1)
        bson_fail(reader, "last_numbers has %zu elements, there are %zu partitions", list.count,
                  partitions);
    for (size_t i = 0; i < partitions && reader->kind == ERR_OK; i++)
        reading->last_numbers[i] = (uint64_t)bson_next_int64(&list, 0, INT64_MAX);
    if (reading->warehouse.data == NULL)
        reading->warehouse =
            arena_view(audit->arena, bson_read_text(reader, document, "warehouse", TEXT_MAX));
    reading->number = (uint64_t)bson_read_int64(reader, document, "number", 1, INT64_MAX);
}

/* --- Documents in their order
 * ----------------------------------------------------------------------- */

static enum err_kind keep_document(void *context, const bson_t *document, struct err *err)
{
    struct ledger_reading *reading = context;

    (void)err;
    reading->documents = mem_room(reading->documents, reading->document_count,
                                  &reading->document_capacity, sizeof *reading->documents);
    reading->documents[reading->document_count++] = bson_copy(document);
    return ERR_OK;
}

static const char *id_of(const bson_t *document)
{
    bson_iter_t iter;

    return bson_iter_init_find(&iter, document, "_id") && BSON_ITER_HOLDS_UTF8(&iter)
               ? bson_iter_utf8(&iter, NULL)
               : "";
}

static int by_id(const void *a, const void *b)
{
    return strcmp(id_of(*(bson_t *const *)a), id_of(*(bson_t *const *)b));
}

static void drop_documents(struct ledger_reading *reading)
{
    for (size_t i = 0; i < reading->document_count; i++)
        bson_destroy(reading->documents[i]);
    reading->document_count = 0;
}

static enum err_kind read_collection(struct ledger_reading *reading, struct mongo *mongo,
                                     const char *name, struct err *err)
{
    enum err_kind kind = mongo_read(mongo, name, PER_REPLY, keep_document, reading, err);

    if (kind == ERR_OK && reading->document_count > 1)
        qsort(reading->documents, reading->document_count, sizeof *reading->documents, by_id);
    return kind;
}

static void restore_skus(struct ledger_reading *reading, struct bson_reader *reader,
                         const bson_t *document)
{
    struct view lines = bson_read_text(reader, document, "skus", LINES_MAX), line;

    while (reader->kind == ERR_OK && lines_next(&lines, &line)) {
        struct world_sku *sku = world_sku(reading->audit->world, line_next_text(&line));

        sku->ledger.exists = true;
        sku->ledger.received = next_number(reader, &line);
        sku->ledger.on_hand = next_number(reader, &line);
        sku->ledger.held = next_number(reader, &line);
        sku->ledger.sold = next_number(reader, &line);
    }
}

/* A replay has put this state in the place of all that the documents before have made. */
static void replace_state(struct ledger_reading *reading, struct bson_reader *reader,
                          struct view name)
{
    struct audit *audit = reading->audit;
    struct ledger_reading state = {.audit = audit};
    struct world_sku *sku;
    size_t place = 0;

    while ((sku = lookup_next(&audit->world->skus, &place)) != NULL)
        memset(&sku->ledger, 0, sizeof sku->ledger);
    audit->ledger_negative = 0;
    reading->letter_count = 0;
    if (read_collection(&state, reading->mongo, arena_view(audit->arena, name).data, reader->err) !=
        ERR_OK)
        reader->kind = ERR_RETRY;
    for (size_t i = 0; i < state.document_count && reader->kind == ERR_OK; i++) {
        if (bson_has_field(state.documents[i], "skus"))
            restore_skus(reading, reader, state.documents[i]);
        else if (bson_has_field(state.documents[i], "dead_letters"))
            read_letters(reading, reader, state.documents[i]);
    }
    drop_documents(&state);
    free(state.documents);
}

static enum err_kind fold_document(struct ledger_reading *reading, const bson_t *document,
                                   struct err *err)
{
    struct audit *audit = reading->audit;
    char what[64];
    struct bson_reader reader = {.what = what, .err = err};
    struct view entries, entry;
    uint64_t number;

    snprintf(what, sizeof what, "ledger document %.30s", id_of(document));
    number = (uint64_t)bson_read_int64(&reader, document, "number", 1, INT64_MAX);
    if (reader.kind == ERR_OK && number <= reading->number)
        return ERR_OK; /* the snapshot has it */
    if (reader.kind == ERR_OK && number != reading->number + 1 && audit->ledger_holes++ == 0)
        audit->ledger_hole_example =
            arena_printf(audit->arena, "behind %" PRIu64 " comes %" PRIu64, reading->number, number)
                .data;
    if (reader.kind == ERR_OK && bson_has_field(document, "aside")) {
        reading->number = number; /* a replay's: it says nothing */
        return ERR_OK;
    }
    read_standing(reading, &reader, document);
    if (reader.kind == ERR_OK && bson_has_field(document, "state"))
        replace_state(reading, &reader, bson_read_text(&reader, document, "state", TEXT_MAX));
    entries = bson_read_text(&reader, document, "entries", LINES_MAX);
    while (reader.kind == ERR_OK && lines_next(&entries, &entry))
        read_entry(reading, &reader, entry);
    read_letters(reading, &reader, document);
    remove_letters(reading, &reader, document);
    return reader.kind;
}

static enum err_kind fold_collections(struct ledger_reading *reading, struct mongo *mongo,
                                      char **names, size_t count, struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; kind == ERR_OK && i < count; i++) {
        kind = read_collection(reading, mongo, names[i], err);
        for (size_t d = 0; kind == ERR_OK && d < reading->document_count; d++)
            kind = fold_document(reading, reading->documents[d], err);
        drop_documents(reading);
    }
    return kind;
}

/* --- Snapshots
 * --------------------------------------------------------------------------------------- */

/* A snapshot without its last document was never finished: nothing of it is taken. */
static enum err_kind restore(struct ledger_reading *reading, struct mongo *mongo, const char *name,
                             struct err *err)
{
    struct bson_reader reader = {.what = name, .err = err};
    enum err_kind kind = read_collection(reading, mongo, name, err);
    size_t last = reading->document_count;

    reading->is_valid =
        kind == ERR_OK && last > 0 && strcmp(id_of(reading->documents[last - 1]), "valid") == 0;
    if (reading->is_valid) {
        read_standing(reading, &reader, reading->documents[last - 1]);
        for (size_t i = 0; i + 1 < last && reader.kind == ERR_OK; i++) {
            if (bson_has_field(reading->documents[i], "skus"))
                restore_skus(reading, &reader, reading->documents[i]);
            else if (bson_has_field(reading->documents[i], "dead_letters"))
                read_letters(reading, &reader, reading->documents[i]);
        }
        kind = reader.kind;
    }
    drop_documents(reading);
    return kind;
}

/* The number in "ledger_0000000012" or "snapshot_<number>_<run>"; UINT64_MAX: none. */
static uint64_t number_in(const char *name)
{
    const char *digits = strchr(name, '_');
    char *end;
    uint64_t number;

    if (digits == NULL)
        return UINT64_MAX;
    number = strtoull(digits + 1, &end, 10);
    return end > digits + 1 ? number : UINT64_MAX;
}

/* Begin with the oldest snapshot behind which no document is missing. A chain that still has its
 * first document needs none. */
static enum err_kind begin(struct ledger_reading *reading, struct mongo *mongo,
                           const char *first_collection, struct err *err)
{
    uint64_t first = number_in(first_collection) * 256;
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind;

    if (first == 0)
        return ERR_OK;
    kind = mongo_collections(mongo, SNAPSHOT, &names, &count, err);
    for (size_t i = 0; kind == ERR_OK && i < count && !reading->is_valid; i++)
        if (number_in(names[i]) + 1 >= first)
            kind = restore(reading, mongo, names[i], err);
    if (kind == ERR_OK && !reading->is_valid)
        kind = err_set(
            err, ERR_STOP,
            "the ledger begins at %" PRIu64 " and no snapshot of what was before is left", first);
    return kind;
}

/* --- The whole
 * ---------------------------------------------------------------------------------------- */

static enum err_kind read_all(struct ledger_reading *reading, const char *uri, struct err *err)
{
    AUTO(mongo_close) struct mongo *mongo = NULL;
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_open(&mongo, uri, "tradewind audit", err);

    reading->mongo = mongo;
    if (kind == ERR_OK)
        kind = mongo_collections(mongo, LEDGER, &names, &count, err);
    if (kind == ERR_OK && count > 0 && (kind = begin(reading, mongo, names[0], err)) == ERR_OK)
        kind = fold_collections(reading, mongo, names, count, err);
    return kind;
}

/* Whether the topic has exactly the events of the ledger that was read, none of them new. */
static bool stock_moves(const struct ledger_reading *reading)
{
    const struct audit *audit = reading->audit;

    for (int32_t shard = 0; shard < audit->world->partitions; shard++) {
        uint64_t highest = 0;

        for (size_t i = 0; i < audit->world->stream_count; i++)
            if (audit->world->streams[i].topic == TOPIC_INVENTORY &&
                audit->world->streams[i].partition == shard)
                highest = audit->world->streams[i].highest;
        if (reading->last_numbers != NULL && highest != reading->last_numbers[shard])
            return true;
    }
    return false;
}

void audit_ledger_read(struct audit *audit, const char *uri)
{
    struct ledger_reading reading = {.audit = audit};
    struct err err = {0};
    enum err_kind kind = uri[0] != '\0' ? read_all(&reading, uri, &err)
                                        : err_set(&err, ERR_STOP, "TRADEWIND_MONGODB is not set");

    audit->stores.ledger = kind == ERR_OK;
    if (kind != ERR_OK)
        audit->why_not[6] = arena_strdup(audit->arena, err.text);
    for (size_t i = 0; kind == ERR_OK && i < reading.letter_count; i++)
        if (!reading.letters[i].removed)
            audit_note_dead_letter(audit, "inventory", reading.letters[i].key,
                                   reading.letters[i].reason, reading.letters[i].has_number,
                                   reading.letters[i].error);
    audit->stock_is_moving = kind == ERR_OK && stock_moves(&reading);
    if (kind == ERR_OK && reading.last_numbers != NULL) {
        struct audit_numbers numbers = {
            .part = "inventory", .topic = TOPIC_INVENTORY, .after = reading.last_numbers};

        numbers.source =
            arena_printf(audit->arena, "inventory/%.*s", VIEW_PRINT(reading.warehouse));
        audit_note_numbers(audit, &numbers);
    }
    drop_documents(&reading);
    free(reading.documents);
    free(reading.letters);
}
