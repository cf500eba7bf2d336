#include "events/host.h"

size_t items_keep(struct item *items, size_t count, bool (*keep)(void *context, struct item *),
                  void *context)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (keep(context, &items[i]))
            items[kept++] = items[i];
    for (size_t i = kept; i < count; i++)
        items[i].command = NULL; /* it is answered, or stands further in front */
    return kept;
}

static void refuse(struct item *item, const char *why)
{
    struct err err;

    err_set(&err, ERR_RETRY, "%s", why);
    item->command->done(item->command, ERR_RETRY, &err);
    item->command = NULL;
}

bool command_is_expired(const struct command *command, int64_t now_ms)
{
    return command->expires_ms != 0 && now_ms >= command->expires_ms;
}

static bool not_expired(void *now_ms, struct item *item)
{
    if (item->command == NULL || !command_is_expired(item->command, *(const int64_t *)now_ms))
        return true;
    refuse(item, NOT_IN_TIME);
    return false;
}

size_t items_expire(struct item *items, size_t count, int64_t now_ms)
{
    return items_keep(items, count, not_expired, &now_ms);
}

void items_refuse(struct item *items, size_t count, const char *why)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].command != NULL)
            refuse(&items[i], why);
}
