/* Fuzz: what lies in an archive's folder. The first byte says what the others are:
 *
 *     m    a manifest, up to its hash, which is put behind it
 *     b    what a file's one block holds: how many records it says it has, and their bytes
 *     f    what comes behind the head of a file
 *
 * A manifest that is accepted comes back the same when it is written again; a file is read to its
 * end, each record with as many headers as it says. */
#include "ops/archive/archive.h"

#include "tests/fuzz/fuzz.h"

#include <sodium.h>

#include <unistd.h>

static const struct container_head HEAD = {.topic = "shop.orders.v1", .sync = "0123456789abcde"};
static char path[300];

/* --- The manifest ----------------------------------------------------------------------------- */

/* A manifest ends with the hash of what stands before its last member. */
static void seal(struct buf *text)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char digits[2 * sizeof hash + 1];

    crypto_hash_sha256(hash, text->data, text->size);
    sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
    buf_printf(text, "\n,\"sha256\":\"%s\"}\n", digits);
}

static enum err_kind read_and_write(struct buf *out, struct view manifest, struct err *err)
{
    AUTO(archive_close) struct archive archive = {.folder = "here", .lock = -1};
    enum err_kind kind = manifest_read(&archive, manifest, err);

    if (kind == ERR_OK)
        manifest_write(out, &archive);
    return kind;
}

static void fuzz_manifest(struct view text)
{
    AUTO(buf_clear) struct buf sealed = {0}, once = {0}, twice = {0};
    struct err err = {0};
    enum err_kind kind;

    buf_append_view(&sealed, text);
    seal(&sealed);
    kind = read_and_write(&once, buf_view(&sealed), &err);
    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return;
    }
    HOLDS(read_and_write(&twice, buf_view(&once), &err) == ERR_OK, err.text);
    HOLDS(view_equal(buf_view(&once), buf_view(&twice)), "what was written is read as another");
}

/* --- A file ----------------------------------------------------------------------------------- */

/* A file without records is a head. */
static size_t write_head(void)
{
    struct container_writer writer = {0};
    struct err err;
    size_t size;

    HOLDS(container_create(&writer, path, &HEAD, &err) == ERR_OK, err.text);
    HOLDS(container_finish(&writer, &err) == ERR_OK, err.text);
    size = (size_t)writer.bytes;
    container_clear(&writer);
    return size;
}

static void write_behind_head(size_t head_size, struct view bytes)
{
    FILE *file = fopen(path, "r+e");

    HOLDS(file != NULL && fseek(file, (long)head_size, SEEK_SET) == 0, path);
    HOLDS(fwrite(bytes.data, 1, bytes.size, file) == bytes.size, path);
    HOLDS(fflush(file) == 0 && ftruncate(fileno(file), (off_t)(head_size + bytes.size)) == 0, path);
    fclose(file);
}

static void look_at_headers(const struct archived *record)
{
    struct archived_headers walk;
    struct header header;

    archived_headers(&walk, record);
    while (walk.left > 0)
        HOLDS(archived_next_header(&walk, &header), "a header that was counted is none");
    HOLDS(!archived_next_header(&walk, &header), "more headers than were counted");
}

static void fuzz_file(struct view bytes)
{
    static size_t head_size;
    struct container_reader reader = {0};
    struct archived record;
    struct err err = {0};
    enum err_kind kind;
    bool end = false;

    if (head_size == 0)
        head_size = write_head();
    write_behind_head(head_size, bytes);
    kind = container_open(&reader, path, &HEAD, (int64_t)(head_size + bytes.size), &err);
    HOLDS(kind == ERR_OK, err.text);
    while ((kind = container_next(&reader, &record, &end, &err)) == ERR_OK && !end)
        look_at_headers(&record);
    if (kind != ERR_OK)
        fuzz_refused(kind, &err);
    container_close(&reader);
}

static void fuzz_block(struct view bytes)
{
    AUTO(buf_clear) struct buf file = {0};

    if (bytes.size == 0)
        return;
    wire_put_long(&file, (unsigned char)bytes.data[0]);
    wire_put_bytes(&file, view_of(bytes.data + 1, bytes.size - 1));
    buf_append(&file, HEAD.sync, sizeof HEAD.sync);
    fuzz_file(buf_view(&file));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(path, sizeof path, "%s/0.avro", fuzz_folder());
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view rest = size > 0 ? view_of(data + 1, size - 1) : VIEW_NONE;

    if (size == 0)
        return 0;
    if (data[0] == 'm')
        fuzz_manifest(rest);
    else if (data[0] == 'b')
        fuzz_block(rest);
    else
        fuzz_file(rest);
    return 0;
}
