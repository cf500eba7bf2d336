#include "ops/parts.h"

#include "runtime/bytes.h"

const struct ops_part *ops_part_find(const char *name)
{
    for (size_t i = 0; i < ops_part_count; i++)
        if (strcmp(ops_parts[i].name, name) == 0)
            return &ops_parts[i];
    return NULL;
}

const char *ops_part_names(void)
{
    static struct buf names;

    buf_reset(&names);
    for (size_t i = 0; i < ops_part_count; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", ops_parts[i].name);
    return buf_cstr(&names);
}
