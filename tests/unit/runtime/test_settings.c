#include "runtime/settings.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static const struct setting own[] = {
    {"TRADEWIND_<PART>_LIMIT", "10", SETTING_INTEGER, 1, 20, NULL, "a limit"},
    {"TRADEWIND_<PART>_MODE", "slow", SETTING_CHOICE, 0, 0, "slow|fast", "a mode"},
    {"TRADEWIND_NEEDED", NULL, SETTING_TEXT, 2, 5, NULL, "must be set"},
    {"TRADEWIND_SERVERS", "a:1", SETTING_ADDRESSES, 0, 0, NULL, "servers"},
    {"TRADEWIND_PROVIDER", "", SETTING_URL, 0, 0, NULL, "a URL or empty"},
};

#define OWN_COUNT (sizeof own / sizeof own[0])

static void set_sane_environment(void)
{
    clearenv();
    setenv("TRADEWIND_SCHEMAS", "/", 1);
    setenv("TRADEWIND_NEEDED", "yes", 1);
}

Test(settings, what_is_not_set_has_its_fallback)
{
    struct err err = {0};

    set_sane_environment();
    cr_assert_eq(settings_load("orders", own, OWN_COUNT, &err), ERR_OK, "%s", err.text);

    cr_expect_str_eq(setting_text("TRADEWIND_INSTANCE"), "orders-1");
    cr_expect_str_eq(setting_text("TRADEWIND_KAFKA"), "127.0.0.1:9092");
    cr_expect_eq(setting_integer("TRADEWIND_PARTITIONS"), 12);
    cr_expect_str_eq(setting_text("TRADEWIND_<PART>_DATABASE"), "");
    cr_expect_eq(setting_integer("TRADEWIND_<PART>_LIMIT"), 10);
    cr_expect_str_eq(setting_text("TRADEWIND_NEEDED"), "yes");
}

Test(settings, servers_are_reached_in_the_clear_or_all_with_tls)
{
    static const char *const good[] = {"a:1", "a:1,b:2", "ssl://a:1", "ssl://a:1,ssl://b:2"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct err err = {0};

        set_sane_environment();
        setenv("TRADEWIND_SERVERS", good[i], 1);
        cr_expect_eq(settings_load("orders", own, OWN_COUNT, &err), ERR_OK, "%s", err.text);
    }
}

Test(settings, the_parts_name_stands_for_part)
{
    struct err err = {0};

    set_sane_environment();
    setenv("TRADEWIND_ORDERS_LIMIT", "20", 1);
    setenv("TRADEWIND_EMAIL_HTTP", "127.0.0.1:17015", 1);
    cr_assert_eq(settings_load("orders", own, OWN_COUNT, &err), ERR_OK, "%s", err.text);

    cr_expect_eq(setting_integer("TRADEWIND_<PART>_LIMIT"), 20);
    cr_expect_str_eq(setting_text("TRADEWIND_<PART>_HTTP"), "");
    cr_expect_str_eq(setting_of_part("email", "HTTP"), "127.0.0.1:17015");
    cr_expect_null(setting_of_part("fraud", "HTTP"));
}

Test(settings, a_bad_value_is_named_with_what_was_wanted)
{
    static const struct {
        const char *name, *value, *mistake;
    } cases[] = {
        {"TRADEWIND_ORDERS_LIMIT", "21",
         "TRADEWIND_ORDERS_LIMIT='21', want a whole number from 1 to 20"},
        {"TRADEWIND_ORDERS_LIMIT", "",
         "TRADEWIND_ORDERS_LIMIT='', want a whole number from 1 to 20"},
        {"TRADEWIND_ORDERS_LIMIT", "1O",
         "TRADEWIND_ORDERS_LIMIT='1O', want a whole number from 1 to 20"},
        {"TRADEWIND_ORDERS_MODE", "slo", "TRADEWIND_ORDERS_MODE='slo', want one of slow|fast"},
        {"TRADEWIND_ORDERS_MODE", "slow|", "TRADEWIND_ORDERS_MODE='slow|', want one of slow|fast"},
        {"TRADEWIND_NEEDED", "secret", "TRADEWIND_NEEDED has 6 bytes, want text of 2 to 5 bytes"},
        {"TRADEWIND_SERVERS", "a:1,", "TRADEWIND_SERVERS='a:1,', want host:port, several"},
        {"TRADEWIND_SERVERS", "ssl://a:1,b:1", "want host:port, several separated by commas; ssl:"},
        {"TRADEWIND_SERVERS", "a:1,ssl://b:1", "ssl:// before each, for TLS, or before none"},
        {"TRADEWIND_SERVERS", "ssl://", "want host:port"},
        {"TRADEWIND_SERVERS", "tls://a:1", "TRADEWIND_SERVERS='tls://a:1', want host:port"},
        {"TRADEWIND_SERVERS", "a:0", "TRADEWIND_SERVERS='a:0', want host:port, several"},
        {"TRADEWIND_ORDERS_HTTP", "17010", "TRADEWIND_ORDERS_HTTP='17010', want host:port or unix"},
        {"TRADEWIND_ORDERS_HTTP", ":17010", "want host:port or unix:/path"},
        {"TRADEWIND_ORDERS_HTTP", "a:65536", "want host:port or unix:/path"},
        {"TRADEWIND_ORDERS_HTTP", "a:-1", "want host:port or unix:/path"},
        {"TRADEWIND_PROVIDER", "http://", "TRADEWIND_PROVIDER='http://', want scheme://..."},
        {"TRADEWIND_PROVIDER", "localhost", "want scheme://..."},
        {"TRADEWIND_CA", "/no/such", "TRADEWIND_CA='/no/such', want a path that can be read"},
        {"TRADEWIND_SCHEMAS", "/no/such", "TRADEWIND_SCHEMAS='/no/such', want a path that can"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};

        set_sane_environment();
        setenv(cases[i].name, cases[i].value, 1);
        cr_expect_eq(settings_load("orders", own, OWN_COUNT, &err), ERR_STOP, "%s=%s",
                     cases[i].name, cases[i].value);
        cr_expect(strstr(err.text, cases[i].mistake) != NULL, "%s=%s: %s", cases[i].name,
                  cases[i].value, err.text);
    }
}

Test(settings, all_mistakes_are_named_at_once)
{
    struct err err = {0};

    set_sane_environment();
    unsetenv("TRADEWIND_NEEDED");
    setenv("TRADEWIND_PARTITIONS", "0", 1);
    cr_assert_eq(settings_load("orders", own, OWN_COUNT, &err), ERR_STOP);

    cr_expect_str_eq(err.text,
                     "settings: TRADEWIND_PARTITIONS='0', want a whole number from 1 to 1000; "
                     "TRADEWIND_NEEDED is not set, want text of 2 to 5 bytes");
}

Test(settings, a_program_that_is_no_part_has_no_common_rows)
{
    struct err err = {0};

    set_sane_environment();
    setenv("TRADEWIND_PARTITIONS", "0", 1);
    cr_assert_eq(settings_load(NULL, own + 2, OWN_COUNT - 2, &err), ERR_OK, "%s", err.text);

    cr_expect_str_eq(setting_text("TRADEWIND_NEEDED"), "yes");
}

Test(settings, every_common_row_has_help_and_a_name_that_starts_alike)
{
    for (size_t i = 0; i < settings_common_count; i++) {
        cr_expect_eq(strncmp(settings_common[i].name, "TRADEWIND_", 10), 0);
        cr_expect_not_null(settings_common[i].help, "%s", settings_common[i].name);
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(settings_common[i].name, settings_common[j].name);
    }
}
