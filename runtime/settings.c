#include "runtime/settings.h"

#include "runtime/bytes.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
const struct setting settings_common[] = {
    /* name, fallback, check, min, max, choices, help */
    {"TRADEWIND_INSTANCE",        "<part>-1",       SETTING_TEXT,      1, 40,   NULL, "this process among those of its part; stays the same over restarts"},
    {"TRADEWIND_KAFKA",           "127.0.0.1:9092", SETTING_ADDRESSES, 0, 0,    NULL, "Kafka bootstrap servers, separated by commas; ssl://host:port speaks TLS"},
    {"TRADEWIND_CA",              "",               SETTING_FILE,      0, 0,    NULL, "PEM file of who may sign the certificates of Kafka, https and mail servers; empty: whom the system trusts"},
    {"TRADEWIND_PARTITIONS",      "12",             SETTING_INTEGER,   1, 1000, NULL, "partitions of each event topic; never changes in place"},
    {"TRADEWIND_JOURNAL_SECONDS", "3600",          SETTING_INTEGER,   60, 604800, NULL, "how long what was published stays in the journal, to fill holes of the topic with"},
    {"TRADEWIND_SCHEMAS",         "schemas",        SETTING_FILE,      0, 0,    NULL, "folder with the event schemas and their lock file"},
    {"TRADEWIND_REGISTRY",        "",               SETTING_URL,       0, 0,    NULL, "schema registry; empty: ids come from the lock file"},
    {"TRADEWIND_<PART>_DATABASE", "",               SETTING_TEXT,      0, 0,    NULL, "PostgreSQL connection string or URI of this part's own database"},
    {"TRADEWIND_<PART>_HTTP",     "",               SETTING_ADDRESS,   0, 0,    NULL, "where this part listens: host:port or unix:/path"},
    {"TRADEWIND_JWKS",            "",               SETTING_FILE,      0, 0,    NULL, "JWK set with the public keys that tokens are verified with"},
    {"TRADEWIND_LOG_LEVEL",       "info",           SETTING_CHOICE,    0, 0,    "debug|info|warn|error", "the least level that is written"},
};
/* clang-format on */
const size_t settings_common_count = COUNT(settings_common);

struct loaded {
    const struct setting *row;
    char *value;
    int64_t integer;
};

/* Filled by settings_load before there are threads, only read afterwards. */
static struct loaded *loaded;
static size_t loaded_count;

/* text with <PART> and <part> replaced. */
static void append_for_part(struct buf *out, const char *text, const char *part)
{
    static const char upper[] = "<PART>", lower[] = "<part>";

    while (*text != '\0') {
        bool is_upper = strncmp(text, upper, strlen(upper)) == 0;

        if (is_upper || strncmp(text, lower, strlen(lower)) == 0) {
            for (const char *c = part; *c != '\0'; c++)
                buf_append_byte(out, is_upper ? (uint8_t)toupper((unsigned char)*c) : (uint8_t)*c);
            text += strlen(upper);
        } else {
            buf_append_byte(out, (uint8_t)*text++);
        }
    }
}

static const char *read_environment(const char *row_name, const char *part)
{
    AUTO(buf_clear) struct buf name = {0};

    append_for_part(&name, row_name, part);
    return getenv(buf_cstr(&name));
}

/* --- Checks: each returns what was wanted, or NULL when the value is good --------------------- */

static bool is_choice(struct view value, const char *choices)
{
    while (*choices != '\0') {
        size_t length = strcspn(choices, "|");

        if (view_equal(value, view_of(choices, length)))
            return true;
        choices += length + (choices[length] == '|');
    }
    return false;
}

static bool is_address(struct view value)
{
    const char *colon = value.size > 0 ? memrchr(value.data, ':', value.size) : NULL;
    struct view port;
    int64_t number;

    if (value.size > 6 && memcmp(value.data, "unix:/", 6) == 0)
        return true;
    if (colon == NULL || colon == value.data ||
        memchr(value.data, '/', (size_t)(colon - value.data)) != NULL)
        return false;
    port = view_of(colon + 1, value.size - (size_t)(colon + 1 - value.data));
    return view_to_int64(port, &number) && port.data[0] != '-' && number > 0 && number <= 65535;
}

static bool take_prefix(struct view *value, const char *prefix)
{
    size_t length = strlen(prefix);

    if (value->size < length || memcmp(value->data, prefix, length) != 0)
        return false;
    *value = view_of(value->data + length, value->size - length);
    return true;
}

/* All of them with TLS or none: other brokers, which these tell of, are reached in one way. */
static bool are_addresses(struct view value)
{
    struct view first = value;
    bool tls = take_prefix(&first, SETTING_TLS);
    const char *comma;

    do {
        struct view address = value;

        comma = value.size > 0 ? memchr(value.data, ',', value.size) : NULL;
        if (comma != NULL) {
            address.size = (size_t)(comma - value.data);
            value = view_of(comma + 1, value.size - address.size - 1);
        }
        if (take_prefix(&address, SETTING_TLS) != tls || !is_address(address))
            return false;
    } while (comma != NULL);
    return true;
}

static bool is_url(const char *value)
{
    size_t scheme = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789+-.");

    return scheme > 0 && strncmp(value + scheme, "://", 3) == 0 && value[scheme + 3] != '\0';
}

static bool is_good(const struct setting *row, const char *value, int64_t *integer)
{
    bool may_be_empty = row->fallback != NULL && row->fallback[0] == '\0';

    if (value[0] == '\0' && may_be_empty)
        return true;
    switch (row->check) {
    case SETTING_TEXT:
        return row->max == 0 ||
               ((int64_t)strlen(value) >= row->min && (int64_t)strlen(value) <= row->max);
    case SETTING_INTEGER:
        return view_to_int64(view_str(value), integer) && *integer >= row->min &&
               *integer <= row->max;
    case SETTING_CHOICE:
        return is_choice(view_str(value), row->choices);
    case SETTING_ADDRESS:
        return is_address(view_str(value));
    case SETTING_ADDRESSES:
        return are_addresses(view_str(value));
    case SETTING_URL:
        return is_url(value);
    case SETTING_FILE:
        return access(value, R_OK) == 0;
    }
    return false;
}

static void append_wanted(struct buf *out, const struct setting *row)
{
    switch (row->check) {
    case SETTING_TEXT:
        buf_printf(out, "text of %" PRId64 " to %" PRId64 " bytes", row->min, row->max);
        return;
    case SETTING_INTEGER:
        buf_printf(out, "a whole number from %" PRId64 " to %" PRId64, row->min, row->max);
        return;
    case SETTING_CHOICE:
        buf_printf(out, "one of %s", row->choices);
        return;
    case SETTING_ADDRESS:
        buf_append_str(out, "host:port or unix:/path");
        return;
    case SETTING_ADDRESSES:
        buf_append_str(out, "host:port, several separated by commas; ssl:// before each, for TLS, "
                            "or before none");
        return;
    case SETTING_URL:
        buf_append_str(out, "scheme://...");
        return;
    case SETTING_FILE:
        buf_append_str(out, "a path that can be read");
        return;
    }
}

/* What is wrong with one setting. Text may hold a password, so its value is not repeated. */
static void append_mistake(struct buf *out, const struct setting *row, const char *part,
                           const char *value)
{
    if (out->size > 0)
        buf_append_str(out, "; ");
    append_for_part(out, row->name, part);
    if (value == NULL)
        buf_append_str(out, " is not set");
    else if (row->check == SETTING_TEXT)
        buf_printf(out, " has %zu bytes", strlen(value));
    else
        buf_printf(out, "='%s'", value);
    buf_append_str(out, ", want ");
    append_wanted(out, row);
}

static void load_row(struct loaded *to, const struct setting *row, const char *part,
                     struct buf *mistakes)
{
    AUTO(buf_clear) struct buf fallback = {0};
    const char *value = read_environment(row->name, part);

    to->row = row;
    if (value == NULL && row->fallback != NULL) {
        append_for_part(&fallback, row->fallback, part);
        value = buf_cstr(&fallback);
    }
    if (value == NULL || !is_good(row, value, &to->integer))
        append_mistake(mistakes, row, part, value);
    else
        to->value = mem_strdup(value);
}

enum err_kind settings_load(const char *part, const struct setting *own, size_t own_count,
                            struct err *err)
{
    AUTO(buf_clear) struct buf mistakes = {0};
    size_t common_count = part != NULL ? settings_common_count : 0;

    for (size_t i = 0; i < loaded_count; i++)
        free(loaded[i].value);
    free(loaded);
    loaded_count = common_count + own_count;
    loaded = mem_alloc(loaded_count * sizeof *loaded);
    for (size_t i = 0; i < common_count; i++)
        load_row(&loaded[i], &settings_common[i], part, &mistakes);
    for (size_t i = 0; i < own_count; i++)
        load_row(&loaded[common_count + i], &own[i], part, &mistakes);
    if (mistakes.size > 0)
        return err_set(err, ERR_STOP, "settings: %s", buf_cstr(&mistakes));
    return ERR_OK;
}

static const struct loaded *find_loaded(const char *name)
{
    for (size_t i = 0; i < loaded_count; i++)
        if (strcmp(loaded[i].row->name, name) == 0)
            return &loaded[i];
    fprintf(stderr, "no setting named %s\n", name);
    abort();
}

const char *setting_text(const char *name)
{
    return find_loaded(name)->value;
}

int64_t setting_integer(const char *name)
{
    const struct loaded *setting = find_loaded(name);

    assert(setting->row->check == SETTING_INTEGER);
    return setting->integer;
}

const char *setting_of_part(const char *part, const char *suffix)
{
    AUTO(buf_clear) struct buf name = {0};

    buf_printf(&name, "TRADEWIND_<PART>_%s", suffix);
    return read_environment(buf_cstr(&name), part);
}

static void print_rows(FILE *out, const char *part, const struct setting *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(buf_clear) struct buf name = {0};
        AUTO(buf_clear) struct buf value = {0};

        append_for_part(&name, rows[i].name, part);
        if (rows[i].fallback == NULL)
            buf_append_str(&value, "must be set");
        else if (rows[i].fallback[0] == '\0')
            buf_append_str(&value, "empty");
        else
            append_for_part(&value, rows[i].fallback, part);
        fprintf(out, "  %-32s %s (%s)\n", buf_cstr(&name), rows[i].help, buf_cstr(&value));
    }
}

void settings_print(FILE *out, const char *part, const struct setting *own, size_t own_count)
{
    if (part != NULL)
        print_rows(out, part, settings_common, settings_common_count);
    print_rows(out, part, own, own_count);
}
