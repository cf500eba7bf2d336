#include "events/codec.h"
#include "events/events_generated.h"
#include "runtime/file.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void run(const char *format, const char *folder)
{
    AUTO(buf_clear) struct buf shell = {0};

    buf_printf(&shell, "folder=%s; schemas=%s; %s", folder, SCHEMAS, format);
    /* NOLINTNEXTLINE(cert-env33-c): a test's own words */
    cr_assert_eq(system(buf_cstr(&shell)), 0, "%s", buf_cstr(&shell));
}

static struct schema_ids *open_ids(const char *folder)
{
    struct schema_ids *ids = NULL;
    struct err err = {0};

    cr_assert_eq(schema_ids_open(&ids, folder, NULL, &err), ERR_OK, "%s", err.text);
    return ids;
}

Test(ids, every_event_has_an_id_that_leads_back_to_it)
{
    AUTO(schema_ids_free) struct schema_ids *ids = open_ids(SCHEMAS);

    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        int32_t id = schema_ids_for(ids, type);
        const struct schema_id *found = schema_ids_find(ids, id);

        cr_assert_not_null(found, "%s", event_type_name(type));
        cr_expect_eq(found->type, type);
        cr_expect_not_null(found->plan);
    }
    cr_expect_null(schema_ids_find(ids, 0));
    cr_expect_null(schema_ids_find(ids, -1));
    cr_expect_null(schema_ids_find(ids, INT32_MAX));
}

/* product.withdrawn as a later program writes it: a field more, in front. The lock file's next row.
 */
#define NEWER                                                                                      \
    "mkdir -p $folder/history/product.withdrawn; "                                                 \
    "sed 's/\"fields\": \\[/&{\"name\":\"why\",\"type\":\"string\",\"default\":\"\"},/' "          \
    "$schemas/events/product.withdrawn.avsc > $folder/events/product.withdrawn.avsc; "             \
    "$AVRO_COMPILE lock $folder > $folder/out"

static const char newer[] = "\0\0\0\0\x18"
                            "\x08gone"
                            "\2A"
                            "\2";

Test(ids, a_version_that_comes_while_the_program_runs_is_found_by_a_refresh)
{
    char folder[] = "/tmp/ids-XXXXXX";
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    const struct product_withdrawn *event;
    const struct schema_id *before;
    enum event_type type;
    struct err err;
    const void *data;

    cr_assert_not_null(mkdtemp(folder));
    run("cp -r $schemas/. $folder", folder);
    ids = open_ids(folder);
    before = schema_ids_find(ids, 21);
    cr_expect_eq(schema_ids_refresh(ids, 24, &err), ERR_RETRY);
    cr_expect_str_eq(err.text, "schema id 24: not in the lock file");

    run(NEWER, folder);
    cr_expect_eq(schema_ids_refresh(ids, 24, &err), ERR_OK, "%s", err.text);

    cr_expect_eq(schema_ids_find(ids, 21), before, "what was known stays where it was");
    cr_expect_eq(schema_ids_for(ids, EVENT_PRODUCT_WITHDRAWN), 21, "we write what we know");
    cr_assert_eq(event_decode(&type, &data, view_of(newer, sizeof newer - 1), ids, &arena, &err),
                 ERR_OK, "%s", err.text);
    cr_assert_eq(type, EVENT_PRODUCT_WITHDRAWN);
    event = data;
    cr_expect(view_equals(event->sku, "A"));
    cr_expect_eq(event->occurred_at, 1);
    run("rm -r $folder", folder);
}

Test(ids, what_another_instance_of_a_later_release_has_kept_is_read)
{
    char folder[] = "/tmp/ids-XXXXXX";
    const struct view value = view_of(newer, sizeof newer - 1);
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    enum event_type type;
    const void *event;
    struct err err;

    cr_assert_not_null(mkdtemp(folder));
    run("cp -r $schemas/. $folder", folder);
    ids = open_ids(folder);
    cr_expect_eq(event_decode_kept(&type, &event, value, ids, &arena, &err), ERR_RETRY);

    run(NEWER, folder);
    cr_assert_eq(event_decode_kept(&type, &event, value, ids, &arena, &err), ERR_OK, "%s",
                 err.text);
    cr_expect(view_equals(((const struct product_withdrawn *)event)->sku, "A"));
    run("rm -r $folder", folder);
}

Test(ids, a_refresh_that_finds_a_broken_lock_file_loses_nothing)
{
    char folder[] = "/tmp/ids-XXXXXX";
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    struct err err;

    cr_assert_not_null(mkdtemp(folder));
    run("cp -r $schemas/. $folder", folder);
    ids = open_ids(folder);

    run("echo nonsense > $folder/ids.lock", folder);
    cr_expect_eq(schema_ids_refresh(ids, 24, &err), ERR_STOP);
    cr_expect_not_null(schema_ids_find(ids, 21));
    run("cp $schemas/ids.lock $folder; sed -i 's/\"id\":1,/\"id\":100,/; s/\"id\":2,/\"id\":1,/' "
        "$folder/ids.lock",
        folder);
    cr_expect_eq(schema_ids_refresh(ids, 24, &err), ERR_STOP, "id 1 was another schema");
    cr_expect_not_null(strstr(err.text, "schema id 1 "), "%s", err.text);
    cr_expect_null(schema_ids_find(ids, 100));
    run("rm -r $folder", folder);
}

struct readers {
    struct schema_ids *ids;
    _Atomic bool stop;
    _Atomic uint64_t lookups, misses;
};

static void *look_up(void *context)
{
    struct readers *readers = context;

    while (!readers->stop) {
        for (int32_t id = 1; id < EVENT_COUNT; id++)
            if (schema_ids_find(readers->ids, id) == NULL)
                readers->misses++;
        readers->lookups++;
    }
    return NULL;
}

Test(ids, lookups_go_on_while_a_refresh_runs)
{
    struct readers readers = {.ids = open_ids(SCHEMAS)};
    pthread_t threads[2];

    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, look_up, &readers), 0);
    for (int i = 0; i < 50 || readers.lookups < 50; i++)
        schema_ids_refresh(readers.ids, 1000, NULL);
    readers.stop = true;
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);

    cr_expect_eq(readers.misses, 0);
    schema_ids_free(readers.ids);
}
