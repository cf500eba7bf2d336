#include "ops/replay/folds.h"

extern const struct fold analytics_fold, catalog_fold, email_fold, fraud_fold, orders_fold,
    payment_fold, stock_fold;

static const struct fold *const FOLDS[] = {&orders_fold,    &payment_fold, &fraud_fold, &email_fold,
                                           &analytics_fold, &catalog_fold, &stock_fold};

#define FOLD_COUNT (sizeof FOLDS / sizeof FOLDS[0])

const struct fold *fold_of_part(const char *name)
{
    for (size_t i = 0; i < FOLD_COUNT; i++)
        if (strcmp(FOLDS[i]->part, name) == 0)
            return FOLDS[i];
    return NULL;
}

const char *fold_names(void)
{
    static struct buf names;

    buf_reset(&names);
    for (size_t i = 0; i < FOLD_COUNT; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", FOLDS[i]->part);
    return buf_cstr(&names);
}
