#include "events/money.h"

#include <inttypes.h>
#include <stdio.h>

/* The currencies whose minor unit is not a hundredth (ISO 4217, list one, column "minor unit"). */
static const struct {
    int digits;
    const char *codes;
} exceptions[] = {
    {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"},
    {3, "BHD IQD JOD KWD LYD OMR TND"},
    {4, "CLF UYW"},
};

bool money_is_currency(struct view code)
{
    if (code.size != 3)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (code.data[i] < 'A' || code.data[i] > 'Z')
            return false;
    return true;
}

int money_digits(struct view currency)
{
    char code[4];

    if (!money_is_currency(currency))
        return 2;
    memcpy(code, currency.data, 3);
    code[3] = '\0';
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (strstr(exceptions[i].codes, code) != NULL)
            return exceptions[i].digits;
    return 2;
}

/* The whole units with a comma every three digits. */
static void write_grouped(char out[32], uint64_t whole)
{
    char plain[24];
    int size = snprintf(plain, sizeof plain, "%" PRIu64, whole), at = 0;

    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = plain[i];
    }
    out[at] = '\0';
}

struct view money_format(int64_t amount_minor, struct view currency, struct arena *arena)
{
    uint64_t size = amount_minor < 0 ? 0 - (uint64_t)amount_minor : (uint64_t)amount_minor;
    const char *sign = amount_minor < 0 ? "-" : "";
    int digits = money_digits(currency);
    uint64_t unit = 1;
    char whole[32];

    for (int i = 0; i < digits; i++)
        unit *= 10;
    write_grouped(whole, size / unit);
    if (digits == 0)
        return arena_printf(arena, "%.*s %s%s", VIEW_PRINT(currency), sign, whole);
    return arena_printf(arena, "%.*s %s%s.%0*" PRIu64, VIEW_PRINT(currency), sign, whole, digits,
                        size % unit);
}
