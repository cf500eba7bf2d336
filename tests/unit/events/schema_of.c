#include "tests/unit/events/schema_of.h"

#include <criterion/criterion.h>

const struct schema *schema_of(const char *text, struct arena *arena)
{
    const struct schema *schema = NULL;
    struct err err = {0};

    cr_assert_eq(schema_parse(&schema, view_str(text), arena, &err), ERR_OK, "%s: %s", text,
                 err.text);
    return schema;
}
