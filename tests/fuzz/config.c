/* Fuzz: what an operator sets up: the value of a setting of each kind, and the lock file of the
 * schemas. The first byte says which. */
#include "events/lock_file.h"
#include "runtime/file.h"
#include "runtime/settings.h"
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#define NAME "TRADEWIND_FUZZ"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct setting ROWS[] = {
    {NAME, "", SETTING_TEXT, 0, 0, NULL, "any text"},
    {NAME, NULL, SETTING_TEXT, 2, 5, NULL, "a short text"},
    {NAME, "7", SETTING_INTEGER, -10, 1000, NULL, "a number"},
    {NAME, NULL, SETTING_CHOICE, 0, 0, "never|may|must", "a choice"},
    {NAME, NULL, SETTING_ADDRESS, 0, 0, NULL, "an address"},
    {NAME, NULL, SETTING_ADDRESSES, 0, 0, NULL, "addresses"},
    {NAME, "", SETTING_URL, 0, 0, NULL, "a URL"},
    {NAME, NULL, SETTING_FILE, 0, 0, NULL, "a file"},
};

static const char *folder;
static char lock_path[256];

static void remove_folder(void)
{
    unlink(lock_path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder = fuzz_folder();
    snprintf(lock_path, sizeof lock_path, "%s/ids.lock", folder);
    atexit(remove_folder);
    return 0;
}

static void fuzz_setting(const struct setting *row, struct view value, struct arena *arena)
{
    const char *text = arena_view(arena, value).data;
    struct err err = {0};
    enum err_kind kind;

    setenv(NAME, text, 1);
    kind = settings_load(NULL, row, 1, &err);
    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        HOLDS(strstr(err.text, NAME) != NULL, err.text);
        return;
    }
    HOLDS(strcmp(setting_text(NAME), text) == 0, "another value");
    if (row->check == SETTING_INTEGER)
        HOLDS(setting_integer(NAME) >= row->min && setting_integer(NAME) <= row->max, text);
    if (row->check == SETTING_TEXT && row->max > 0)
        HOLDS(strlen(text) >= (size_t)row->min && strlen(text) <= (size_t)row->max, text);
    if (row->check == SETTING_ADDRESS)
        HOLDS(strchr(text, ':') != NULL, text);
}

static void fuzz_lock(struct view text, struct arena *arena)
{
    struct lock_file lock, again;
    struct err err = {0};
    enum err_kind kind;
    FILE *file = fopen(lock_path, "w"); /* file_write would wait for a disk */

    HOLDS(file != NULL && fwrite(text.data, 1, text.size, file) == text.size, lock_path);
    fclose(file);
    kind = lock_file_read(&lock, folder, arena, &err);
    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return;
    }
    HOLDS(lock_file_write(&lock, folder, &err) == ERR_OK, err.text);
    HOLDS(lock_file_read(&again, folder, arena, &err) == ERR_OK, err.text);
    HOLDS(again.count == lock.count, "rows");
    for (size_t i = 0; i < lock.count; i++)
        HOLDS(again.rows[i].id == lock.rows[i].id &&
                  view_equal(again.rows[i].subject, lock.rows[i].subject) &&
                  view_equal(again.rows[i].file, lock.rows[i].file),
              "a row");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view input;

    if (size == 0)
        return 0;
    input = view_of(data + 1, size - 1);
    if (data[0] == 'l')
        fuzz_lock(input, &arena);
    else
        fuzz_setting(&ROWS[data[0] % COUNT(ROWS)], input, &arena);
    return 0;
}
