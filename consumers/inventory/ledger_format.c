#include "consumers/inventory/ledger_format.h"

#include "runtime/bson_read.h"
#include "runtime/lines.h"
#include "runtime/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT 1
#define LEDGER_PREFIX "ledger_"
#define TEXT_MAX 1024          /* topics, reasons, errors */
#define COUNT_MAX (1u << 20)   /* elements of an array: a document has at most 16 MiB */
#define FRAMES_MAX (64u << 20) /* records of a document, unpacked */
#define RECORD_BYTES_MIN 24
#define ASIDE_WAIT "wait"
#define ASIDE_RECORDS "records"

void ledger_id(char out[LEDGER_ID_SIZE], uint64_t number)
{
    snprintf(out, LEDGER_ID_SIZE, "%020" PRIu64, number);
}

void ledger_collection(char out[LEDGER_NAME_SIZE], uint64_t number)
{
    snprintf(out, LEDGER_NAME_SIZE, LEDGER_PREFIX "%010" PRIu64,
             number / LEDGER_COLLECTION_DOCUMENTS);
}

bool ledger_collection_first(const char *name, uint64_t *first)
{
    size_t prefix = strlen(LEDGER_PREFIX);
    int64_t place;

    if (strncmp(name, LEDGER_PREFIX, prefix) != 0 ||
        !view_to_int64(view_str(name + prefix), &place) || place < 0 ||
        place > INT64_MAX / LEDGER_COLLECTION_DOCUMENTS)
        return false;
    *first = (uint64_t)place * LEDGER_COLLECTION_DOCUMENTS;
    return true;
}

/* --- Writing -------------------------------------------------------------------------------- */

struct list {
    bson_t *parent;
    bson_t bson;
    uint32_t count;
};

static void list_start(struct list *list, bson_t *parent, const char *name)
{
    list->parent = parent;
    list->count = 0;
    bson_append_array_begin(parent, name, -1, &list->bson);
}

static void list_end(struct list *list)
{
    bson_append_array_end(list->parent, &list->bson);
}

/* The name of the next element: its place. */
static const char *next_name(struct list *list, char room[16], int *size)
{
    const char *name;

    *size = (int)bson_uint32_to_string(list->count++, &name, room, 16);
    return name;
}

static void list_int64(struct list *list, int64_t value)
{
    char room[16];
    int size;
    const char *name = next_name(list, room, &size);

    bson_append_int64(&list->bson, name, size, value);
}

static void list_document_start(struct list *list, bson_t *document)
{
    char room[16];
    int size;
    const char *name = next_name(list, room, &size);

    bson_append_document_begin(&list->bson, name, size, document);
}

static void list_document_end(struct list *list, bson_t *document)
{
    bson_append_document_end(&list->bson, document);
}

static void put_text(bson_t *document, const char *name, struct view text)
{
    bson_append_utf8(document, name, -1, text.data, (int)text.size);
}

static void put_binary(bson_t *document, const char *name, struct view bytes)
{
    if (bytes.data == NULL)
        bson_append_null(document, name, -1);
    else
        bson_append_binary(document, name, -1, BSON_SUBTYPE_BINARY, (const uint8_t *)bytes.data,
                           (uint32_t)bytes.size);
}

static void put_int64s(bson_t *document, const char *name, const void *values, size_t count)
{
    struct list list;

    list_start(&list, document, name);
    for (size_t i = 0; i < count; i++)
        list_int64(&list, ((const int64_t *)values)[i]);
    list_end(&list);
}

/* Left out when no operator has ever wanted anything: as in documents from before there was a
 * wish. */
static void put_flow(bson_t *document, const struct flow *flow)
{
    bson_t child;

    if (flow->changed_us == 0)
        return;
    BSON_APPEND_DOCUMENT_BEGIN(document, "flow", &child);
    BSON_APPEND_BOOL(&child, "paused", flow->paused);
    BSON_APPEND_INT64(&child, "rate_per_s", flow->rate_per_s);
    BSON_APPEND_INT64(&child, "changed_us", flow->changed_us);
    bson_append_document_end(document, &child);
}

void standing_write(bson_t *document, const struct standing *standing)
{
    size_t partitions = (size_t)standing->partitions;
    struct list list;

    BSON_APPEND_INT32(document, "format", FORMAT);
    BSON_APPEND_INT64(document, "number", (int64_t)standing->number);
    BSON_APPEND_INT64(document, "epoch", (int64_t)standing->epoch);
    put_text(document, "warehouse", standing->warehouse);
    put_text(document, "writer", standing->writer);
    BSON_APPEND_INT64(document, "time_us", standing->time_us);
    put_int64s(document, "last_numbers", standing->last_numbers, partitions);
    put_int64s(document, "published", standing->published, partitions);
    put_int64s(document, "published_offsets", standing->published_offsets, partitions);
    list_start(&list, document, "positions");
    for (size_t i = 0; i < standing->position_count; i++) {
        bson_t position;

        list_document_start(&list, &position);
        put_text(&position, "topic", standing->positions[i].topic);
        put_int64s(&position, "offsets", standing->positions[i].offsets, partitions);
        put_int64s(&position, "numbers", standing->positions[i].numbers, partitions);
        list_document_end(&list, &position);
    }
    list_end(&list);
    BSON_APPEND_INT64(document, "last_letter", standing->last_letter);
    put_flow(document, &standing->flow);
}

static void put_entries(bson_t *document, const struct entry *entries, size_t count)
{
    AUTO(buf_clear) struct buf lines = {0};

    for (size_t i = 0; i < count; i++) {
        line_text(&lines, view_str(entry_kind_name(entries[i].kind)));
        line_text(&lines, entries[i].id);
        for (size_t item = 0; item < entries[i].item_count; item++) {
            line_text(&lines, entries[i].items[item].sku);
            line_int64(&lines, entries[i].items[item].quantity);
        }
        line_end(&lines);
    }
    put_text(document, "entries", buf_view(&lines));
}

static void append_be(struct buf *out, uint64_t value, unsigned bytes)
{
    while (bytes-- > 0)
        buf_append_byte(out, (uint8_t)(value >> (8 * bytes)));
}

/* All records in one: shard (4 bytes), number (8), then key, headers and value, each behind its
 * size (4), big-endian; the whole of it compressed. */
static void put_records(bson_t *document, const struct journal_record *records, size_t count)
{
    AUTO(buf_clear) struct buf frames = {0};
    AUTO(buf_clear) struct buf packed = {0};

    for (size_t i = 0; i < count; i++) {
        const struct view parts[] = {records[i].key, records[i].headers, records[i].value};

        append_be(&frames, (uint64_t)(uint32_t)records[i].shard, 4);
        append_be(&frames, records[i].number, 8);
        for (size_t part = 0; part < 3; part++) {
            append_be(&frames, parts[part].size, 4);
            buf_append_view(&frames, parts[part]);
        }
    }
    pack(&packed, buf_view(&frames));
    BSON_APPEND_INT64(document, "event_count", (int64_t)count);
    put_binary(document, "events", buf_view(&packed));
}

/* A text out of an error message: it may quote anything, cut anywhere, and a server takes only
 * UTF-8. */
static void put_any_text(bson_t *document, const char *name, const char *text)
{
    AUTO(buf_clear) struct buf clean = {0};

    buf_append_str(&clean, text);
    if (!view_is_utf8(buf_view(&clean)))
        for (size_t i = 0; i < clean.size; i++)
            if ((unsigned char)clean.data[i] >= 0x80)
                clean.data[i] = '?';
    put_text(document, name, buf_view(&clean));
}

void letters_write(bson_t *document, const struct letter *const *letters, size_t count)
{
    struct list list;

    list_start(&list, document, "dead_letters");
    for (size_t i = 0; i < count; i++) {
        const struct dead_letter *dead = &letters[i]->dead;
        bson_t letter;

        list_document_start(&list, &letter);
        BSON_APPEND_INT64(&letter, "id", letters[i]->id);
        BSON_APPEND_INT64(&letter, "time_us", letters[i]->time_us);
        BSON_APPEND_BOOL(&letter, "copied", letters[i]->copied);
        BSON_APPEND_UTF8(&letter, "reason", dead_reason_name(dead->reason));
        put_any_text(&letter, "error", dead->error);
        put_any_text(&letter, "topic", dead->topic);
        BSON_APPEND_INT64(&letter, "partition", dead->partition);
        BSON_APPEND_INT64(&letter, "offset", dead->offset);
        BSON_APPEND_INT64(&letter, "number", (int64_t)dead->number);
        BSON_APPEND_INT64(&letter, "record_time_ms", dead->time_ms);
        BSON_APPEND_INT64(&letter, "attempts", dead->attempts);
        put_binary(&letter, "key", dead->key);
        put_binary(&letter, "headers", dead->headers);
        put_binary(&letter, "value", dead->value);
        list_document_end(&list, &letter);
    }
    list_end(&list);
}

bson_t *batch_write(const struct batch *batch)
{
    bson_t *document = bson_new();
    char id[LEDGER_ID_SIZE];
    const struct letter **letters = mem_alloc((batch->letter_count + 1) * sizeof(struct letter *));

    for (size_t i = 0; i < batch->letter_count; i++)
        letters[i] = &batch->letters[i];
    ledger_id(id, batch->standing.number);
    BSON_APPEND_UTF8(document, "_id", id);
    standing_write(document, &batch->standing);
    put_entries(document, batch->entries, batch->entry_count);
    put_records(document, batch->records, batch->record_count);
    letters_write(document, letters, batch->letter_count);
    put_int64s(document, "removed_letters", batch->removed, batch->removed_count);
    put_int64s(document, "copied_letters", batch->copied, batch->copied_count);
    if (batch->is_aside)
        BSON_APPEND_UTF8(document, "aside", batch->asks_to_wait ? ASIDE_WAIT : ASIDE_RECORDS);
    if (batch->state.size > 0)
        put_text(document, "state", batch->state);
    free(letters);
    return document;
}

/* --- Reading -------------------------------------------------------------------------------- */

static const void *read_int64s(struct bson_reader *reader, const bson_t *document, const char *name,
                               size_t want, int64_t min, struct arena *arena)
{
    struct bson_list list = bson_read_array(reader, document, name, COUNT_MAX);
    int64_t *values = arena_array(arena, want + 1, sizeof *values);

    if (list.count != want)
        bson_fail(reader, "%s has %zu elements, want %zu", name, list.count, want);
    for (size_t i = 0; i < want; i++)
        values[i] = bson_next_int64(&list, min, INT64_MAX);
    return values;
}

static const int64_t *read_ids(struct bson_reader *reader, const bson_t *document, const char *name,
                               size_t *count, struct arena *arena)
{
    struct bson_list list = bson_read_array(reader, document, name, COUNT_MAX);
    int64_t *values = arena_array(arena, list.count + 1, sizeof *values);

    *count = list.count;
    for (size_t i = 0; i < list.count; i++)
        values[i] = bson_next_int64(&list, 1, INT64_MAX);
    return values;
}

static void read_positions(struct standing *out, struct bson_reader *reader, const bson_t *document,
                           struct arena *arena)
{
    struct bson_list list = bson_read_array(reader, document, "positions", 64);
    struct positions *positions = arena_array(arena, list.count + 1, sizeof *positions);

    out->positions = positions;
    out->position_count = list.count;
    for (size_t i = 0; i < list.count; i++) {
        bson_t position;

        bson_next_document(&list, &position);
        positions[i] = (struct positions){
            .topic = bson_read_text(reader, &position, "topic", TEXT_MAX),
            .offsets =
                read_int64s(reader, &position, "offsets", (size_t)out->partitions, -1, arena),
            .numbers = read_int64s(reader, &position, "numbers", (size_t)out->partitions, 0, arena),
        };
    }
}

static void read_flow(struct flow *out, struct bson_reader *reader, const bson_t *document)
{
    bson_iter_t at;
    const uint8_t *bytes;
    uint32_t size;
    bson_t flow;

    if (!bson_iter_init_find(&at, document, "flow"))
        return;
    if (!BSON_ITER_HOLDS_DOCUMENT(&at)) {
        bson_fail(reader, "flow is no document");
        return;
    }
    bson_iter_document(&at, &size, &bytes);
    if (!bson_init_static(&flow, bytes, size)) {
        bson_fail(reader, "flow is no document");
        return;
    }
    *out = (struct flow){
        .paused = bson_read_bool(reader, &flow, "paused"),
        .rate_per_s = bson_read_int64(reader, &flow, "rate_per_s", 0, INT64_MAX),
        .changed_us = bson_read_int64(reader, &flow, "changed_us", 1, INT64_MAX),
    };
}

void standing_read(struct standing *out, struct bson_reader *reader, const bson_t *document,
                   struct arena *arena)
{
    size_t partitions =
        bson_read_array(reader, document, "last_numbers", LEDGER_PARTITIONS_MAX).count;

    bson_read_int64(reader, document, "format", FORMAT, FORMAT);
    *out = (struct standing){
        .number = (uint64_t)bson_read_int64(reader, document, "number", 1, INT64_MAX),
        .epoch = (uint64_t)bson_read_int64(reader, document, "epoch", 1, INT64_MAX),
        .time_us = bson_read_int64(reader, document, "time_us", 0, INT64_MAX),
        .writer = bson_read_text(reader, document, "writer", LEDGER_WRITER_MAX),
        .warehouse = bson_read_text(reader, document, "warehouse", STOCK_SKU_MAX),
        .partitions = (int32_t)partitions,
        .last_numbers = read_int64s(reader, document, "last_numbers", partitions, 0, arena),
        .published = read_int64s(reader, document, "published", partitions, 0, arena),
        .published_offsets =
            read_int64s(reader, document, "published_offsets", partitions, -1, arena),
        .last_letter = bson_read_int64(reader, document, "last_letter", 0, INT64_MAX),
    };
    read_positions(out, reader, document, arena);
    read_flow(&out->flow, reader, document);
}

int64_t number_read(struct bson_reader *reader, struct view *line)
{
    struct view left = *line;
    int64_t value = 0;

    if (!line_next_int64(line, &value))
        bson_fail(reader, "'%.*s' does not begin with a number",
                  (int)(left.size < 40 ? left.size : 40), left.data);
    return value;
}

/* They are checked where they are applied. */
const struct stock_item *items_read(struct bson_reader *reader, struct view *line, size_t *count,
                                    struct arena *arena)
{
    size_t fields = line_count(*line);
    struct stock_item *items = arena_array(arena, fields / 2 + 1, sizeof *items);

    *count = fields / 2;
    if (fields % 2 != 0)
        bson_fail(reader, "a line ends in %zu fields, want SKU and quantity in turn", fields);
    for (size_t i = 0; i < *count; i++) {
        items[i].sku = line_next_text(line);
        items[i].quantity = number_read(reader, line);
    }
    return items;
}

static void read_entries(struct batch *out, struct bson_reader *reader, const bson_t *document,
                         struct arena *arena)
{
    struct view rest = bson_read_text(reader, document, "entries", LEDGER_LINES_MAX), line;
    struct entry *entries = arena_array(arena, lines_count(rest) + 1, sizeof *entries);
    size_t count = 0;

    while (reader->kind == ERR_OK && lines_next(&rest, &line)) {
        struct entry *entry = &entries[count++];
        struct view kind = line_next_text(&line);

        entry->kind = entry_kind_from_name(kind);
        if (entry->kind == ENTRY_KINDS)
            bson_fail(reader, "entry %zu: there is no kind '%.*s'", count - 1,
                      (int)(kind.size < 40 ? kind.size : 40), kind.data);
        entry->id = line_next_text(&line);
        entry->items = items_read(reader, &line, &entry->item_count, arena);
    }
    if (rest.size > 0)
        bson_fail(reader, "the last entry does not end in a newline");
    out->entries = entries;
    out->entry_count = count;
}

static bool take_be(struct view *rest, unsigned bytes, uint64_t *value)
{
    if (rest->size < bytes)
        return false;
    *value = 0;
    for (unsigned i = 0; i < bytes; i++)
        *value = *value << 8 | (uint8_t)rest->data[i];
    *rest = view_of(rest->data + bytes, rest->size - bytes);
    return true;
}

static bool take_part(struct view *rest, struct view *part)
{
    uint64_t size;

    if (!take_be(rest, 4, &size) || size > rest->size)
        return false;
    *part = view_of(rest->data, size);
    *rest = view_of(rest->data + size, rest->size - size);
    return true;
}

static bool take_record(struct view *rest, struct journal_record *out, int32_t partitions)
{
    uint64_t shard;

    if (!take_be(rest, 4, &shard) || !take_be(rest, 8, &out->number) ||
        !take_part(rest, &out->key) || !take_part(rest, &out->headers) ||
        !take_part(rest, &out->value))
        return false;
    out->shard = (int32_t)shard;
    return shard < (uint64_t)partitions && out->number > 0;
}

static void read_records(struct batch *out, struct bson_reader *reader, const bson_t *document,
                         struct arena *arena)
{
    size_t count = (size_t)bson_read_int64(reader, document, "event_count", 0, COUNT_MAX);
    struct view packed = bson_read_binary(reader, document, "events"), rest = {0};
    struct journal_record *records;
    struct err err;

    if (reader->kind == ERR_OK && unpack(&rest, packed, FRAMES_MAX, arena, &err) != ERR_OK)
        bson_fail(reader, "events: %s", err.text);
    if (count > rest.size / RECORD_BYTES_MIN)
        bson_fail(reader, "events has %zu bytes, too few for %zu events", rest.size, count);
    if (reader->kind != ERR_OK)
        return;
    records = arena_array(arena, count + 1, sizeof *records);
    for (size_t i = 0; i < count && reader->kind == ERR_OK; i++)
        if (!take_record(&rest, &records[i], out->standing.partitions))
            bson_fail(reader, "event %zu is no record", i);
    if (rest.size > 0)
        bson_fail(reader, "there are %zu bytes behind the last event", rest.size);
    out->records = records;
    out->record_count = count;
}

static enum dead_reason reason_of(struct bson_reader *reader, struct view name)
{
    enum dead_reason reason = DEAD_REFUSED;

    if (!dead_reason_from_name(name, &reason))
        bson_fail(reader, "there is no reason '%.*s'", VIEW_PRINT(name));
    return reason;
}

const struct letter *letters_read(struct bson_reader *reader, const bson_t *document, size_t *count,
                                  struct arena *arena)
{
    struct bson_list list = bson_read_array(reader, document, "dead_letters", COUNT_MAX);
    struct letter *letters = arena_array(arena, list.count + 1, sizeof *letters);

    *count = list.count;
    for (size_t i = 0; i < list.count; i++) {
        bson_t letter;

        bson_next_document(&list, &letter);
        /* Texts in BSON end in NUL. */
        letters[i] = (struct letter){
            .id = bson_read_int64(reader, &letter, "id", 1, INT64_MAX),
            .time_us = bson_read_int64(reader, &letter, "time_us", 0, INT64_MAX),
            .copied = bson_read_bool(reader, &letter, "copied"),
            .dead =
                {
                    .reason =
                        reason_of(reader, bson_read_text(reader, &letter, "reason", TEXT_MAX)),
                    .error = bson_read_text(reader, &letter, "error", TEXT_MAX).data,
                    .topic = bson_read_text(reader, &letter, "topic", TEXT_MAX).data,
                    .partition =
                        (int32_t)bson_read_int64(reader, &letter, "partition", 0, INT32_MAX),
                    .offset = bson_read_int64(reader, &letter, "offset", -1, INT64_MAX),
                    .number = (uint64_t)bson_read_int64(reader, &letter, "number", 0, INT64_MAX),
                    .time_ms =
                        bson_read_int64(reader, &letter, "record_time_ms", INT64_MIN, INT64_MAX),
                    .attempts = (int32_t)bson_read_int64(reader, &letter, "attempts", 0, INT32_MAX),
                    .key = bson_read_binary(reader, &letter, "key"),
                    .headers = bson_read_binary(reader, &letter, "headers"),
                    .value = bson_read_binary(reader, &letter, "value"),
                },
        };
    }
    return letters;
}

/* Fields that only a replay writes. */
static void read_replayed(struct batch *out, struct bson_reader *reader, const bson_t *document)
{
    if (bson_has_field(document, "aside")) {
        struct view aside = bson_read_text(reader, document, "aside", TEXT_MAX);

        out->is_aside = true;
        out->asks_to_wait = view_equals(aside, ASIDE_WAIT);
        if (!out->asks_to_wait && !view_equals(aside, ASIDE_RECORDS))
            bson_fail(reader, "aside is '%.*s', want " ASIDE_WAIT " or " ASIDE_RECORDS,
                      VIEW_PRINT(aside));
    }
    if (bson_has_field(document, "state"))
        out->state = bson_read_text(reader, document, "state", LEDGER_NAME_SIZE - 1);
}

/* The document's `_id`, for messages too. */
static struct view id_of(struct bson_reader *reader, const bson_t *document, char what[64])
{
    struct view id;

    *reader = (struct bson_reader){.what = "ledger document", .err = reader->err};
    if (!bson_validate(document, BSON_VALIDATE_NONE, NULL))
        bson_fail(reader, "it is not BSON");
    id = reader->kind == ERR_OK ? bson_read_text(reader, document, "_id", 32) : VIEW_LITERAL("");
    snprintf(what, 64, "ledger document %.*s", VIEW_PRINT(id));
    reader->what = what;
    return id;
}

enum err_kind batch_read(struct batch *out, const bson_t *document, struct arena *arena,
                         struct err *err)
{
    struct bson_reader reader = {.err = err};
    struct batch batch = {0};
    char what[64], want[LEDGER_ID_SIZE];
    struct view id = id_of(&reader, document, what);

    if (reader.kind == ERR_OK)
        standing_read(&batch.standing, &reader, document, arena);
    ledger_id(want, batch.standing.number);
    if (!view_equals(id, want))
        bson_fail(&reader, "its number is %" PRIu64, batch.standing.number);
    if (reader.kind == ERR_OK) {
        read_entries(&batch, &reader, document, arena);
        read_records(&batch, &reader, document, arena);
        batch.letters = letters_read(&reader, document, &batch.letter_count, arena);
        batch.removed = read_ids(&reader, document, "removed_letters", &batch.removed_count, arena);
        batch.copied = read_ids(&reader, document, "copied_letters", &batch.copied_count, arena);
        read_replayed(&batch, &reader, document);
    }
    if (reader.kind == ERR_OK)
        *out = batch;
    return reader.kind;
}
