/* tradewind archive: topics into files, and whether files are still what they were. */
#include "ops/actor.h"
#include "ops/archive/make.h"
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/progress.h"
#include "ops/tell.h"
#include "ops/topics_admin.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <sodium.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

struct archiving {
    const struct command *command;
    const char *because;
    int64_t file_kib;
    bool as_json, verify;
    struct archive archive;
    struct progress progress;
    struct arena arena;
};

/* --- Saying it -------------------------------------------------------------------------------- */

static size_t count_files(const struct archive *archive)
{
    size_t files = 0;

    for (size_t i = 0; i < archive->place_count; i++)
        files += archive->places[i].file_count;
    return files;
}

static void report(struct archiving *archiving, const char *did, int64_t added)
{
    const struct archive *archive = &archiving->archive;
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    if (!archiving->as_json) {
        if (added >= 0)
            printf("%s records added\n", out_count(&archiving->arena, added));
        printf("%s: %s %s records in %zu files; its hash is %s\n", archive->folder, did,
               out_count(&archiving->arena, archive_records(archive)), count_files(archive),
               archive->seal);
        return;
    }
    json_object_start(&json);
    json_member_str(&json, "archive", archive->folder);
    json_member_int64(&json, "records", archive_records(archive));
    json_member_int64(&json, "files", (int64_t)count_files(archive));
    if (added >= 0)
        json_member_int64(&json, "added", added);
    json_member_str(&json, "sha256", archive->seal);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

/* --- Telling ---------------------------------------------------------------------------------- */

/* The last run is told, also when it was one that died. */
static enum err_kind tell_run(struct archiving *archiving, struct err *err)
{
    struct archive *archive = &archiving->archive;
    struct archive_run *run = &archive->run;
    int64_t records = archive_records(archive);
    const struct telling telling = {
        .teller = TELLER_ARCHIVE,
        .number = 1,
        .run = run->id,
        .action = "topics.archive",
        .subject = archive->folder,
        .actor = run->actor,
        .because = run->because,
        .time_us = run->time_us,
        .before =
            arena_printf(&archiving->arena, "{\"records\":%" PRId64 "}", records - run->records)
                .data,
        .after = arena_printf(&archiving->arena, "{\"records\":%" PRId64 "}", records).data,
    };
    enum err_kind kind;

    if (run->id == NULL || run->told || run->records == 0)
        return ERR_OK;
    kind = tell(&telling, 1, err);
    if (kind != ERR_OK)
        return kind;
    run->told = true;
    return archive_commit(archive, err);
}

/* --- archive DIR ------------------------------------------------------------------------------ */

/* What is kept for ever is archived: events, and the copies of dead letters. */
static size_t kept_topics(struct declared_topic **out, struct arena *arena)
{
    size_t count = topics_declared(out, (int32_t)setting_integer("TRADEWIND_PARTITIONS"), arena),
           kept = 0;

    for (size_t i = 0; i < count; i++)
        if (strcmp(topic_setting(&(*out)[i], "retention.ms"), TOPIC_FOREVER) == 0)
            (*out)[kept++] = (*out)[i];
    return kept;
}

static enum err_kind find_topics(struct archiving *archiving, struct archive_make_options *options,
                                 struct err *err)
{
    AUTO(topics_admin_close) struct topics_admin *admin = NULL;
    struct declared_topic *topics;
    size_t count = kept_topics(&topics, &archiving->arena);
    struct found_topic *found = arena_array(&archiving->arena, count, sizeof *found);
    enum err_kind kind = topics_admin_open(&admin, options->brokers, err);

    if (kind == ERR_OK)
        kind = topics_find(admin, topics, count, found, &archiving->arena, err);
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        topics[i].partitions = found[i].partitions;
        if (found[i].partitions == 0)
            kind = err_set(err, ERR_REJECT, "there is no topic %s (tradewind topics apply)",
                           topics[i].name);
    }
    options->topics = topics;
    options->topic_count = count;
    return kind;
}

static enum err_kind make(struct archiving *archiving, struct archive_made *made, struct err *err)
{
    struct archive *archive = &archiving->archive;
    struct archive_make_options options = {.brokers = setting_text("TRADEWIND_KAFKA"),
                                           .file_bytes = archiving->file_kib * 1024};
    enum err_kind kind = find_topics(archiving, &options, err);

    if (kind == ERR_OK)
        kind = tell_run(archiving, err);
    if (kind != ERR_OK)
        return kind;
    archive->run = (struct archive_run){.id = tell_new_run(&archiving->arena),
                                        .time_us = clock_utc_us(),
                                        .actor = ops_actor(),
                                        .because = archiving->because};
    kind = archive_make(archive, &options, made, err);
    return kind == ERR_OK ? tell_run(archiving, err) : kind;
}

static int archive_into(struct archiving *archiving, const char *folder)
{
    struct archive_made made = {0};
    struct err err = {0};
    int code = ops_settings(archiving->command);

    if (code != OPS_OK)
        return code;
    if (archive_open(&archiving->archive, folder, true, &err) != ERR_OK ||
        make(archiving, &made, &err) != ERR_OK)
        return ops_failed(archiving->command, &err);
    report(archiving, "holds", made.records);
    return OPS_OK;
}

/* --- archive --verify DIR --------------------------------------------------------------------- */

static void say_verified(void *context, int64_t records)
{
    struct archiving *archiving = context;

    progress_say(&archiving->progress, (size_t)records);
}

static int verify(struct archiving *archiving, const char *folder)
{
    struct archive *archive = &archiving->archive;
    struct err err = {0};
    enum err_kind kind = archive_open(archive, folder, false, &err);

    progress_start(&archiving->progress, "records verified", (size_t)archive_records(archive));
    if (kind == ERR_OK)
        kind = archive_verify(archive, say_verified, archiving, &err);
    if (kind != ERR_OK) {
        int code = ops_failed(archiving->command, &err);

        return kind == ERR_REJECT ? OPS_FOUND : code;
    }
    report(archiving, "whole,", -1);
    return OPS_OK;
}

/* --- The call --------------------------------------------------------------------------------- */

static int run(struct archiving *archiving, const char *folder)
{
    if (sodium_init() < 0)
        return args_refuse(archiving->command, "libsodium does not start");
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    if (!tell_takes(archiving->because))
        return args_refuse(archiving->command, "--because: want one line of text");
    return archiving->verify ? verify(archiving, folder) : archive_into(archiving, folder);
}

int command_archive(const struct command *command, int argc, char **argv)
{
    struct archiving archiving = {
        .command = command, .because = "", .file_kib = 65536, .archive = {.lock = -1}};
    const struct arg args[] = {
        {"verify", ARG_FLAG, &archiving.verify,
         .help = "read the archive and say whether it is whole; needs no server"},
        {"file-kib", ARG_INTEGER, &archiving.file_kib, "N",
         "a file is finished when it is larger; what is finished survives a kill", .min = 1,
         .max = 1 << 24},
        {"because", ARG_TEXT, &archiving.because, "TEXT",
         "why, for the log of what operators did (tradewind ops log)"},
        {"json", ARG_FLAG, &archiving.as_json, .help = "for programs"},
    };
    int code = args_parse(command, args, sizeof args / sizeof args[0], 1, 1, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    code = run(&archiving, argv[0]);
    archive_close(&archiving.archive);
    arena_clear(&archiving.arena);
    return code;
}
