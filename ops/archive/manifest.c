/* The manifest's text: one JSON object, whose last member is the hash of all in front of it. */
#include "ops/archive/archive.h"
#include "runtime/json.h"

#include <sodium.h>

#include <inttypes.h>
#include <stdlib.h>

#define FORMAT 1
#define SEAL "\n,\"sha256\":\""
#define HEX_DIGITS (2 * ARCHIVE_LINK_BYTES)
#define SEAL_BYTES (sizeof SEAL - 1 + HEX_DIGITS + sizeof "\"}\n" - 1)

/* --- Writing ---------------------------------------------------------------------------------- */

static void put_link(struct json_writer *json, const char *name, const struct archive_link *link)
{
    char digits[HEX_DIGITS + 1];

    archive_hex(digits, link->hash, sizeof link->hash);
    json_member_str(json, name, digits);
}

static void put_file(struct json_writer *json, const struct archive_file *file)
{
    json_object_start(json);
    json_member_str(json, "name", file->name);
    json_member_int64(json, "records", file->records);
    json_member_int64(json, "first_offset", file->first_offset);
    json_member_int64(json, "last_offset", file->last_offset);
    json_member_int64(json, "bytes", file->bytes);
    put_link(json, "chain", &file->link);
    json_object_end(json);
}

static void put_numbers(struct json_writer *json, const struct archive_numbers *numbers)
{
    json_object_start(json);
    json_member_text(json, "source", numbers->source);
    json_member_int64(json, "shard", numbers->shard);
    json_member_int64(json, "first", (int64_t)numbers->first);
    json_member_int64(json, "last", (int64_t)numbers->last);
    json_member_int64(json, "records", numbers->records);
    json_object_end(json);
}

static void put_place(struct json_writer *json, const struct archive_place *place)
{
    const struct archive_count *count = &place->count;

    buf_append_str(json->out, "\n");
    json_object_start(json);
    json_member_str(json, "topic", place->topic);
    json_member_int64(json, "partition", place->partition);
    json_member_int64(json, "records", count->records);
    json_member_int64(json, "first_offset", count->first_offset);
    json_member_int64(json, "last_offset", count->last_offset);
    put_link(json, "chain", &count->link);
    put_link(json, "chain_before_last", &count->before);
    json_key(json, "numbers");
    json_array_start(json);
    for (size_t i = 0; i < count->number_count; i++)
        put_numbers(json, &count->numbers[i]);
    json_array_end(json);
    json_key(json, "files");
    json_array_start(json);
    for (size_t i = 0; i < place->file_count; i++)
        put_file(json, &place->files[i]);
    json_array_end(json);
    json_object_end(json);
}

static void put_run(struct json_writer *json, const struct archive_run *run)
{
    json_key(json, "last_run");
    json_object_start(json);
    json_member_str(json, "id", run->id);
    json_member_int64(json, "time_us", run->time_us);
    json_member_str(json, "actor", run->actor);
    json_member_str(json, "because", run->because);
    json_member_int64(json, "records", run->records);
    json_member_bool(json, "told", run->told);
    json_object_end(json);
}

static void hash_text(char digits[HEX_DIGITS + 1], struct view text)
{
    struct archive_link link;

    crypto_hash_sha256(link.hash, (const unsigned char *)text.data, text.size);
    archive_hex(digits, link.hash, sizeof link.hash);
}

void manifest_write(struct buf *out, const struct archive *archive)
{
    struct json_writer json = {.out = out};
    char digits[HEX_DIGITS + 1];

    json_object_start(&json);
    json_member_int64(&json, "format", FORMAT);
    if (archive->run.id != NULL)
        put_run(&json, &archive->run);
    json_key(&json, "partitions");
    json_array_start(&json);
    for (size_t i = 0; i < archive->place_count; i++)
        put_place(&json, &archive->places[i]);
    json_array_end(&json);
    hash_text(digits, buf_view(out));
    buf_printf(out, SEAL "%s\"}\n", digits);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static const char *read_text(struct json_reader *reader, const struct json *object,
                             const char *name, size_t min, struct archive *archive)
{
    struct view text = json_read_text(reader, object, name, min, 4096);

    return reader->failed ? "" : arena_view(&archive->arena, text).data;
}

static struct archive_link read_link(struct json_reader *reader, const struct json *object,
                                     const char *name)
{
    struct view digits = json_read_text(reader, object, name, HEX_DIGITS, HEX_DIGITS);
    struct archive_link link = {0};
    size_t size = 0;

    if (!reader->failed && (sodium_hex2bin(link.hash, sizeof link.hash, digits.data, digits.size,
                                           NULL, &size, NULL) != 0 ||
                            size != sizeof link.hash))
        json_fail(reader, json_member(object, name), "want hexadecimal digits");
    return link;
}

static void read_file(struct json_reader *reader, const struct json *item,
                      struct archive_file *file, struct archive *archive)
{
    *file = (struct archive_file){
        .name = read_text(reader, item, "name", 1, archive),
        .records = json_read_int64(reader, item, "records", 1, INT64_MAX),
        .first_offset = json_read_int64(reader, item, "first_offset", 0, INT64_MAX),
        .last_offset = json_read_int64(reader, item, "last_offset", 0, INT64_MAX),
        .bytes = json_read_int64(reader, item, "bytes", 1, INT64_MAX),
        .link = read_link(reader, item, "chain"),
    };
    if (!reader->failed && (file->name[0] == '.' || strchr(file->name, '/') != NULL))
        json_fail(reader, json_member(item, "name"), "want a file in the archive's folder");
}

static void read_numbers(struct json_reader *reader, const struct json *item,
                         struct archive_numbers *numbers, struct archive *archive)
{
    *numbers = (struct archive_numbers){
        .source = view_str(read_text(reader, item, "source", 1, archive)),
        .shard = (int32_t)json_read_int64(reader, item, "shard", 0, INT32_MAX),
        .first = (uint64_t)json_read_int64(reader, item, "first", 1, INT64_MAX),
        .last = (uint64_t)json_read_int64(reader, item, "last", 1, INT64_MAX),
        .records = json_read_int64(reader, item, "records", 1, INT64_MAX),
    };
}

static void read_place(struct json_reader *reader, const struct json *item, struct archive *archive)
{
    const char *topic = read_text(reader, item, "topic", 1, archive);
    int32_t partition = (int32_t)json_read_int64(reader, item, "partition", 0, INT32_MAX);
    const struct json *numbers = json_read_array(reader, item, "numbers", 0, SIZE_MAX);
    const struct json *files = json_read_array(reader, item, "files", 0, SIZE_MAX);
    struct archive_place *place;
    struct archive_count *count;

    if (reader->failed)
        return;
    place = archive_add_place(archive, topic, partition);
    count = &place->count;
    count->records = json_read_int64(reader, item, "records", 0, INT64_MAX);
    count->first_offset = json_read_int64(reader, item, "first_offset", -1, INT64_MAX);
    count->last_offset = json_read_int64(reader, item, "last_offset", -1, INT64_MAX);
    count->link = read_link(reader, item, "chain");
    count->before = read_link(reader, item, "chain_before_last");
    count->numbers = mem_grow(NULL, numbers->count + 1, sizeof *count->numbers);
    for (; count->number_count < numbers->count; count->number_count++)
        read_numbers(reader, &numbers->items[count->number_count],
                     &count->numbers[count->number_count], archive);
    place->files = mem_grow(NULL, files->count + 1, sizeof *place->files);
    for (; place->file_count < files->count; place->file_count++)
        read_file(reader, &files->items[place->file_count], &place->files[place->file_count],
                  archive);
}

static void read_run(struct json_reader *reader, const struct json *root, struct archive *archive)
{
    const struct json *run = json_member(root, "last_run");

    if (run == NULL)
        return;
    archive->run = (struct archive_run){
        .id = read_text(reader, run, "id", ULID_SIZE - 1, archive),
        .time_us = json_read_int64(reader, run, "time_us", 0, INT64_MAX),
        .actor = read_text(reader, run, "actor", 1, archive),
        .because = read_text(reader, run, "because", 0, archive),
        .records = json_read_int64(reader, run, "records", 0, INT64_MAX),
        .told = json_read_bool_optional(reader, run, "told", false),
    };
}

static enum err_kind check_seal(struct archive *archive, struct view text, struct err *err)
{
    char digits[HEX_DIGITS + 1];
    AUTO(buf_clear) struct buf want = {0};
    size_t size = text.size >= SEAL_BYTES ? text.size - SEAL_BYTES : 0;

    hash_text(digits, view_of(text.data, size));
    buf_printf(&want, SEAL "%s\"}\n", digits);
    if (size == 0 || !view_equal(view_of(text.data + size, SEAL_BYTES), buf_view(&want)))
        return err_set(err, ERR_REJECT,
                       "%s/" ARCHIVE_MANIFEST " is damaged: it is not as the archive wrote it",
                       archive->folder);
    memcpy(archive->seal, digits, sizeof digits);
    return ERR_OK;
}

enum err_kind manifest_read(struct archive *archive, struct view text, struct err *err)
{
    struct json_reader reader = {.arena = &archive->arena};
    const struct json *places;
    struct json *root;
    struct err why;

    if (check_seal(archive, text, err) != ERR_OK)
        return ERR_REJECT;
    if (json_parse_deep(&root, text, &archive->arena, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "%s/" ARCHIVE_MANIFEST ": %s", archive->folder, why.text);
    json_read_int64(&reader, root, "format", FORMAT, FORMAT);
    places = json_read_array(&reader, root, "partitions", 0, SIZE_MAX);
    for (size_t i = 0; !reader.failed && i < places->count; i++)
        read_place(&reader, &places->items[i], archive);
    if (!reader.failed)
        read_run(&reader, root, archive);
    if (reader.failed)
        return err_set(err, ERR_REJECT, "%s/" ARCHIVE_MANIFEST ": %.*s: %s", archive->folder,
                       VIEW_PRINT(reader.pointer), reader.err.text);
    return ERR_OK;
}
