/* Fuzz: a snapshot of a replay of inventory. The first byte says what the others are:
 *
 *     w    all of the file before the sum
 *     l    its lines behind a head that is right
 *
 * The sum is always right: whoever can change the file can make it. What is accepted is the same
 * state when its lines are written and read again, and everything in it has a name. */
#include "ops/replay/log_witness.h"
#include "ops/replay/snapshot_file.h"
#include "ops/replay/stock_compare.h"
#include "ops/replay/stock_snapshot.h"
#include "runtime/file.h"
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

enum { TABLES = 3 };

static char path[300];
static struct buf head; /* of the snapshot of an empty stock */

/* --- Topics that hold whatever a snapshot says -------------------------------------------------
 */

enum err_kind log_witness_read(struct log_witness *out, struct log_reader *reader, struct err *err)
{
    (void)err;
    memset(out, 0, reader->place_count * sizeof *out);
    return ERR_OK;
}

enum err_kind log_witness_check(const struct log_witness *wanted, struct log_reader *reader,
                                struct err *err)
{
    (void)err;
    for (size_t i = 0; i < reader->place_count; i++) {
        HOLDS(memchr(wanted[i].hex, '\0', sizeof wanted[i].hex) != NULL, "a witness has no end");
        HOLDS(reader->places[i].next_offset >= -1, "a place before its partition");
    }
    return ERR_OK;
}

/* --- A shadow without servers ------------------------------------------------------------------
 */

static void shadow_init(struct stock_shadow *shadow, struct log_place *places)
{
    static const enum topic TOPICS[] = {TOPIC_INVENTORY, TOPIC_ORDERS};

    *shadow =
        (struct stock_shadow){.reader = {.places = places, .place_count = 2, .partitions = 1}};
    for (size_t i = 0; i < 2; i++) {
        places[i] = (struct log_place){.topic = TOPICS[i]};
        log_place_start(&places[i], -1, 0, true);
    }
    tally_init(&shadow->tally, 0);
}

static void shadow_clear(struct stock_shadow *shadow)
{
    tally_clear(&shadow->tally);
    arena_clear(&shadow->arena);
    free(shadow->about.aside_keys);
}

/* --- What was accepted -------------------------------------------------------------------------
 */

static enum err_kind read_lines(void *context, const char *what, struct view lines, struct err *err)
{
    struct stock_shadow *again = context;
    struct tally_lines into = {&again->tally, &again->about, &again->arena};
    struct view line;

    while (lines_next(&lines, &line))
        HOLDS(tally_lines_read(&into, what, line), arena_view(into.arena, line).data);
    HOLDS(lines.size == 0, "a line without an end");
    return err->kind;
}

static void has_a_name(const struct tally_event *event)
{
    HOLDS(event->type == EVENT_NONE || event_type_name(event->type) != NULL, "no such event");
}

static void look_at(const struct tally *tally)
{
    const struct tally_sku *sku;
    const struct tally_order *order;
    size_t place = 0;

    while ((sku = lookup_next(&tally->skus, &place)) != NULL)
        for (int i = 0; i < TALLY_UNITS; i++)
            has_a_name(&sku->by[i]);
    for (place = 0; (order = lookup_next(&tally->orders, &place)) != NULL;)
        has_a_name(&order->by);
}

static void accepted(const struct stock_shadow *shadow)
{
    struct report_table once[TABLES], twice[TABLES];
    struct log_place places[2];
    struct stock_shadow again;
    struct err err = {0};

    shadow_init(&again, places);
    look_at(&shadow->tally);
    HOLDS(tally_lines_write(&shadow->tally, &shadow->about, read_lines, &again, &err) == ERR_OK,
          err.text);
    HOLDS(shadow->about.aside_count == again.about.aside_count, "orders set aside");
    stock_sums(once, &shadow->tally);
    stock_sums(twice, &again.tally);
    for (int i = 0; i < TABLES; i++)
        HOLDS(once[i].rows == twice[i].rows && once[i].checksum == twice[i].checksum,
              "what was written is read as another");
    shadow_clear(&again);
}

/* --- The file ----------------------------------------------------------------------------------
 */

/* A snapshot ends with the sum of what stands before its last line. */
static void write_sealed(struct view text)
{
    FILE *file = fopen(path, "we");
    unsigned char sum[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof sum + 1];

    crypto_hash_sha256(sum, (const unsigned char *)text.data, text.size);
    sodium_bin2hex(hex, sizeof hex, sum, sizeof sum);
    HOLDS(file != NULL && fwrite(text.data, 1, text.size, file) == text.size, path);
    HOLDS(fprintf(file, "end\t%s\n", hex) > 0 && fclose(file) == 0, path);
}

/* Up to its last line. */
static void make_head(void)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct log_place places[2];
    struct stock_shadow empty;
    struct view text, line;
    struct err err;

    shadow_init(&empty, places);
    HOLDS(stock_snapshot_save(&empty, path, &err) == ERR_OK, err.text);
    HOLDS(file_read(&text, path, 4096, &arena, &err) == ERR_OK, err.text);
    while (lines_next(&text, &line) && text.size > 0) {
        buf_append_view(&head, line);
        buf_append_byte(&head, '\n');
    }
    shadow_clear(&empty);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(path, sizeof path, "%s/snapshot", fuzz_folder());
    make_head();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_clear) struct buf text = {0};
    struct log_place places[2];
    struct stock_shadow shadow;
    struct err err = {0};
    enum err_kind kind;

    if (size == 0)
        return 0;
    if (data[0] != 'w')
        buf_append_view(&text, buf_view(&head));
    buf_append(&text, data + 1, size - 1);
    write_sealed(buf_view(&text));
    shadow_init(&shadow, places);
    kind = stock_snapshot_load(&shadow, path, false, &err);
    if (kind == ERR_OK)
        accepted(&shadow);
    else
        fuzz_refused(kind, &err);
    shadow_clear(&shadow);
    return 0;
}
