/* tradewind restore: an archive's records back into topics that are empty. */
#include "events/catalog.h"
#include "ops/actor.h"
#include "ops/archive/mark.h"
#include "ops/archive/restore.h"
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/part_client.h"
#include "ops/parts.h"
#include "ops/progress.h"
#include "ops/tell.h"
#include "ops/topics_admin.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <sodium.h>

#include <inttypes.h>
#include <stdio.h>

struct restoring {
    const struct command *command;
    const char *because;
    bool as_json, dry_run;
    bool is_there; /* all of it, already */
    struct archive archive;
    struct restore restore;
    struct restore_mark mark;
    size_t topic_count, made_topics;
    struct progress progress;
    struct arena arena;
};

static void say(void *context, const char *what, int64_t done, int64_t total)
{
    struct progress *progress = &((struct restoring *)context)->progress;

    if (progress->what == NULL || strcmp(progress->what, what) != 0)
        progress_start(progress, what, (size_t)total);
    progress_say(progress, (size_t)done);
}

static void say_verified(void *context, int64_t records)
{
    const struct restoring *restoring = context;

    say(context, "records verified", records, archive_records(&restoring->archive));
}

/* --- What has to be so before ----------------------------------------------------------------- */

/* Does this part publish events, or copies of what it sets aside? */
static bool writes(const struct ops_part *part)
{
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (strcmp(topic_writer((enum topic)i), part->name) == 0)
            return true;
    return part->reads[0] != NULL;
}

/* A part that runs would write into its topic while it is restored. */
static enum err_kind check_silence(struct restoring *restoring, struct err *err)
{
    struct part_call *calls = arena_array(&restoring->arena, ops_part_count, sizeof *calls);
    enum err_kind kind;

    for (size_t i = 0; i < ops_part_count; i++)
        calls[i] = (struct part_call){.part = ops_parts[i].name, .path = "/livez"};
    kind = part_call_all(calls, ops_part_count, &restoring->arena, err);
    for (size_t i = 0; kind == ERR_OK && i < ops_part_count; i++)
        if (calls[i].status != 0 && writes(&ops_parts[i]))
            kind = err_set(err, ERR_REJECT,
                           "%s runs, and would write while its topic is restored: stop all parts "
                           "first",
                           calls[i].part);
    return kind;
}

/* The archive's topics, with the settings that are declared for them. */
static struct declared_topic *list_topics(struct restoring *restoring)
{
    const struct archive *archive = &restoring->archive;
    struct declared_topic *topics =
        arena_array(&restoring->arena, archive->place_count + 1, sizeof *topics);
    size_t count = 0;

    for (size_t i = 0; i < archive->place_count; i++) {
        const struct archive_place *place = &archive->places[i];

        if (count == 0 || strcmp(topics[count - 1].name, place->topic) != 0)
            topics[count++] = topic_kept_for_ever(place->topic);
        topics[count - 1].partitions++;
    }
    restoring->topic_count = count;
    return topics;
}

static enum err_kind make_topics(struct restoring *restoring, struct err *err)
{
    AUTO(topics_admin_close) struct topics_admin *admin = NULL;
    struct declared_topic *topics = list_topics(restoring);
    size_t count = restoring->topic_count;
    struct declared_topic *missing = arena_array(&restoring->arena, count + 1, sizeof *missing);
    struct found_topic *found = arena_array(&restoring->arena, count + 1, sizeof *found);
    enum err_kind kind = topics_admin_open(&admin, setting_text("TRADEWIND_KAFKA"), err);

    if (kind == ERR_OK)
        kind = topics_find(admin, topics, count, found, &restoring->arena, err);
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        if (found[i].partitions == 0)
            missing[restoring->made_topics++] = topics[i];
        else if (found[i].partitions != topics[i].partitions)
            kind = err_set(err, ERR_REJECT,
                           "%s has %" PRId32 " partitions, and the archive has %" PRId32
                           " of it: each record goes back where it was",
                           topics[i].name, found[i].partitions, topics[i].partitions);
        for (size_t p = 0; found[i].partitions == 0 && p < restoring->archive.place_count; p++)
            if (strcmp(restoring->archive.places[p].topic, topics[i].name) == 0)
                restoring->restore.lanes[p].is_missing = restoring->dry_run;
    }
    return kind == ERR_OK && !restoring->dry_run
               ? topics_make(admin, missing, restoring->made_topics, err)
               : kind;
}

/* Empty, or begun by a restore that goes on, or ended by one that did not come to say so. */
static enum err_kind check_empty(struct restoring *restoring, struct err *err)
{
    const struct restore_lane *held;
    enum err_kind kind = restore_look(&restoring->restore, err);

    if (kind != ERR_OK)
        return kind;
    held = restore_first_held(&restoring->restore);
    if (held == NULL || restoring->mark.found)
        return ERR_OK;
    if (restore_may_be_whole(&restoring->restore)) {
        kind = restore_compare(&restoring->restore, true, err);
        restoring->is_there = kind == ERR_OK;
        if (kind != ERR_REJECT)
            return kind;
    }
    return err_set(err, ERR_REJECT,
                   "%s/%" PRId32 " holds %" PRId64 " records: restore goes into empty topics only",
                   held->place->topic, held->place->partition, held->high - held->low);
}

/* --- Doing it --------------------------------------------------------------------------------- */

static enum err_kind begin(struct restoring *restoring, struct err *err)
{
    struct restore_mark *mark = &restoring->mark;

    if (mark->found)
        return ERR_OK;
    mark->run = tell_new_run(&restoring->arena);
    mark->actor = ops_actor();
    mark->because = restoring->because;
    mark->time_us = clock_utc_us();
    return mark_set(mark, &restoring->archive, err);
}

static int64_t held_records(const struct restore *restore)
{
    int64_t records = 0;

    for (size_t i = 0; i < restore->archive->place_count; i++)
        records += restore->lanes[i].high - restore->lanes[i].low;
    return records;
}

/* What was under way when the last try died may still arrive: until nothing does, look again. */
static enum err_kind find_present(struct restoring *restoring, struct err *err)
{
    struct restore *restore = &restoring->restore;
    enum err_kind kind;
    int64_t held;

    do {
        kind = restore_compare(restore, false, err);
        held = held_records(restore);
        if (kind == ERR_OK)
            kind = restore_look(restore, err);
    } while (kind == ERR_OK && held_records(restore) != held);
    return kind;
}

static enum err_kind tell_restore(struct restoring *restoring, struct err *err)
{
    const struct archive *archive = &restoring->archive;
    const struct telling telling = {
        .teller = TELLER_ARCHIVE,
        .number = 1,
        .run = restoring->mark.run,
        .action = "topics.restore",
        .subject = archive->folder,
        .actor = restoring->mark.actor,
        .because = restoring->mark.because,
        .time_us = restoring->mark.time_us,
        .before = "{\"records\":0}",
        .after = arena_printf(&restoring->arena, "{\"records\":%" PRId64 ",\"sha256\":\"%s\"}",
                              archive_records(archive), archive->seal)
                     .data,
    };

    return tell(&telling, 1, err);
}

static enum err_kind restore_all(struct restoring *restoring, struct err *err)
{
    enum err_kind kind = begin(restoring, err);

    if (kind == ERR_OK && restoring->mark.found)
        kind = find_present(restoring, err);
    if (kind == ERR_OK)
        kind = restore_send(&restoring->restore, err);
    if (kind == ERR_OK)
        kind = restore_compare(&restoring->restore, true, err);
    if (kind == ERR_OK)
        kind = tell_restore(restoring, err);
    return kind == ERR_OK ? mark_remove(&restoring->mark, &restoring->archive, err) : kind;
}

static enum err_kind prepare(struct restoring *restoring, const char *folder, struct err *err)
{
    struct archive *archive = &restoring->archive;
    const char *brokers = setting_text("TRADEWIND_KAFKA");
    enum err_kind kind = archive_open(archive, folder, false, err);

    if (kind == ERR_OK)
        kind = archive_verify(archive, say_verified, restoring, err);
    if (kind == ERR_OK)
        kind = check_silence(restoring, err);
    if (kind == ERR_OK)
        kind = mark_find(&restoring->mark, archive, brokers, &restoring->arena, err);
    if (kind != ERR_OK)
        return kind;
    restore_init(&restoring->restore, archive, brokers);
    restoring->restore.say = say;
    restoring->restore.context = restoring;
    kind = make_topics(restoring, err);
    return kind == ERR_OK ? check_empty(restoring, err) : kind;
}

/* --- The call --------------------------------------------------------------------------------- */

static void report_people(struct restoring *restoring)
{
    const char *records = out_count(&restoring->arena, archive_records(&restoring->archive));
    const char *folder = restoring->archive.folder;

    if (restoring->is_there)
        printf("%s: already restored, verified: its %s records lie in %zu topics, each as in the "
               "archive; nothing was done\n",
               folder, records, restoring->topic_count);
    else
        printf("%s: %s records %s %zu topics, of which %zu were not there%s\n", folder, records,
               restoring->dry_run ? "would be restored into" : "restored into",
               restoring->topic_count, restoring->made_topics,
               restoring->dry_run ? "; nothing was done"
                                  : "; read back, each is as in the archive");
    if (restoring->restore.zero_times > 0)
        printf("%" PRId64 " records without a time (1970-01-01T00:00:00Z) have one that is a "
               "millisecond later\n",
               restoring->restore.zero_times);
}

static void report(struct restoring *restoring)
{
    int64_t records = archive_records(&restoring->archive);
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    if (!restoring->as_json) {
        report_people(restoring);
        return;
    }
    json_object_start(&json);
    json_member_str(&json, "archive", restoring->archive.folder);
    json_member_bool(&json, "dry_run", restoring->dry_run);
    json_member_bool(&json, "went_on", restoring->mark.found);
    json_member_bool(&json, "already", restoring->is_there);
    json_member_int64(&json, "records", records);
    json_member_int64(&json, "sent", restoring->restore.sent);
    json_member_int64(&json, "zero_times", restoring->restore.zero_times);
    json_member_int64(&json, "topics", (int64_t)restoring->topic_count);
    json_member_int64(&json, "topics_missing", (int64_t)restoring->made_topics);
    json_member_str(&json, "sha256", restoring->archive.seal);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

static int run(struct restoring *restoring, const char *folder)
{
    struct err err = {0};
    enum err_kind kind;
    int code = ops_settings(restoring->command);

    if (code != OPS_OK)
        return code;
    if (!tell_takes(restoring->because))
        return args_refuse(restoring->command, "--because: want one line of text");
    if (sodium_init() < 0)
        return args_refuse(restoring->command, "libsodium does not start");
    kind = prepare(restoring, folder, &err);
    if (kind == ERR_OK && !restoring->dry_run && !restoring->is_there)
        kind = restore_all(restoring, &err);
    if (kind != ERR_OK)
        return ops_failed(restoring->command, &err);
    report(restoring);
    return OPS_OK;
}

int command_restore(const struct command *command, int argc, char **argv)
{
    struct restoring restoring = {.command = command, .because = "", .archive = {.lock = -1}};
    const struct arg args[] = {
        {"because", ARG_TEXT, &restoring.because, "TEXT",
         "why, for the log of what operators did (tradewind ops log)"},
        {"dry-run", ARG_FLAG, &restoring.dry_run,
         .help = "verify the archive, look at the topics, and do nothing"},
        {"json", ARG_FLAG, &restoring.as_json, .help = "for programs"},
    };
    int code = args_parse(command, args, sizeof args / sizeof args[0], 1, 1, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    code = run(&restoring, argv[0]);
    restore_clear(&restoring.restore);
    archive_close(&restoring.archive);
    arena_clear(&restoring.arena);
    return code;
}
