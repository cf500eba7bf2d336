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

static bool not_expired(void *now_ms, struct item *item)
{
    if (item->command == NULL || item->command->expires_ms == 0 ||
        *(const int64_t *)now_ms < item->command->expires_ms)
        return true;
    refuse(item, "not done in time, or not known to be done");
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
