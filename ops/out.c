#include "ops/out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

struct out_cell {
    enum out_colour colour;
    const char *text;
};

bool out_is_colourful(void)
{
    static int known = -1;
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org */

    if (known < 0)
        known = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0 &&
                (no_colour == NULL || no_colour[0] == '\0');
    return known == 1;
}

const char *out_colour(enum out_colour colour)
{
    static const char *const SEQUENCES[] = {
        [OUT_PLAIN] = "\x1b[0m", [OUT_BOLD] = "\x1b[1m",     [OUT_DIM] = "\x1b[2m",
        [OUT_RED] = "\x1b[31m",  [OUT_GREEN] = "\x1b[32m",   [OUT_YELLOW] = "\x1b[33m",
        [OUT_BLUE] = "\x1b[34m", [OUT_MAGENTA] = "\x1b[35m", [OUT_CYAN] = "\x1b[36m",
    };

    return out_is_colourful() ? SEQUENCES[colour] : "";
}

void out_table_start(struct out_table *table, const char *const *columns, struct arena *arena)
{
    *table = (struct out_table){.columns = columns, .arena = arena};
    while (columns[table->column_count] != NULL)
        table->column_count++;
}

static void add_cell(struct out_table *table, enum out_colour colour, const char *format,
                     va_list list)
{
    char text[512];

    vsnprintf(text, sizeof text, format, list);
    table->cells = arena_room(table->arena, table->cells, table->cell_count, &table->capacity,
                              sizeof *table->cells);
    table->cells[table->cell_count++] =
        (struct out_cell){.colour = colour, .text = arena_strdup(table->arena, text)};
}

void out_cell(struct out_table *table, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    add_cell(table, OUT_PLAIN, format, list);
    va_end(list);
}

void out_cell_in(struct out_table *table, enum out_colour colour, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    add_cell(table, colour, format, list);
    va_end(list);
}

size_t out_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void write_cell(struct buf *out, const char *text, size_t width, bool right, bool last,
                       enum out_colour colour)
{
    size_t padding = width > out_width(text) ? width - out_width(text) : 0;

    if (right)
        buf_printf(out, "%*s", (int)padding, "");
    if (colour != OUT_PLAIN)
        buf_append_str(out, out_colour(colour));
    buf_append_str(out, text);
    if (colour != OUT_PLAIN)
        buf_append_str(out, out_colour(OUT_PLAIN));
    if (!right && !last)
        buf_printf(out, "%*s", (int)padding, "");
}

static const char *heading(const char *column)
{
    return column[0] == '>' ? column + 1 : column;
}

size_t out_table_write(const struct out_table *table, struct buf *out)
{
    size_t columns = table->column_count, rows = table->cell_count / columns;
    size_t *widths = arena_array(table->arena, columns, sizeof *widths);

    for (size_t c = 0; c < columns; c++) {
        widths[c] = out_width(heading(table->columns[c]));
        for (size_t r = 0; r < rows; r++)
            if (out_width(table->cells[r * columns + c].text) > widths[c])
                widths[c] = out_width(table->cells[r * columns + c].text);
    }
    for (size_t r = 0; r <= rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            const struct out_cell *cell = r > 0 ? &table->cells[(r - 1) * columns + c] : NULL;

            buf_append_str(out, "  ");
            write_cell(out, cell != NULL ? cell->text : heading(table->columns[c]), widths[c],
                       table->columns[c][0] == '>', c + 1 == columns,
                       cell != NULL ? cell->colour : OUT_BOLD);
        }
        while (out->size > 0 && out->data[out->size - 1] == ' ')
            out->size--;
        buf_append_byte(out, '\n');
    }
    return rows + 1;
}

void out_table_print(const struct out_table *table, FILE *file)
{
    AUTO(buf_clear) struct buf text = {0};

    out_table_write(table, &text);
    fwrite(text.data, 1, text.size, file);
}

const char *out_count(struct arena *arena, int64_t number)
{
    char plain[24];
    char *out = arena_alloc(arena, 40);
    int size = snprintf(plain, sizeof plain, "%" PRId64, number);
    int first = plain[0] == '-', at = 0;

    for (int i = 0; i < size; i++) {
        if (i > first && (size - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = plain[i];
    }
    return out;
}

/* ISO 4217 currencies whose minor unit is not a hundredth. */
static int currency_decimals(const char *currency)
{
    static const char NONE[] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    static const char THREE[] = "BHD IQD JOD KWD LYD OMR TND";

    if (strlen(currency) != 3)
        return 2;
    return strstr(NONE, currency) != NULL ? 0 : strstr(THREE, currency) != NULL ? 3 : 2;
}

const char *out_money(struct arena *arena, int64_t minor, const char *currency)
{
    int decimals = currency_decimals(currency);
    int64_t unit = decimals == 0 ? 1 : decimals == 2 ? 100 : 1000;
    uint64_t rest = (uint64_t)(minor < 0 ? -(minor % unit) : minor % unit);
    const char *whole = out_count(arena, minor / unit);

    if (decimals == 0)
        return whole;
    return arena_printf(arena, "%s%s.%0*" PRIu64, minor < 0 && minor / unit == 0 ? "-" : "", whole,
                        decimals, rest)
        .data;
}

const char *out_duration_us(struct arena *arena, int64_t us)
{
    double s = (double)us / 1e6;

    if (us < 1000)
        return arena_printf(arena, "%" PRId64 " us", us).data;
    if (us < 10000)
        return arena_printf(arena, "%.1f ms", (double)us / 1e3).data;
    if (us < 1000000)
        return arena_printf(arena, "%.0f ms", (double)us / 1e3).data;
    if (s < 120)
        return arena_printf(arena, s < 10 ? "%.1f s" : "%.0f s", s).data;
    if (s < 7200)
        return arena_printf(arena, "%.0f min", s / 60).data;
    return s < 172800 ? arena_printf(arena, "%.0f h", s / 3600).data
                      : arena_printf(arena, "%.0f d", s / 86400).data;
}
