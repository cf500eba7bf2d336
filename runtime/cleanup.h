/* Cleanup belongs to the scope.
 *
 *     CLEANUP(order_free, struct order *)         once, beside the declaration of order_free
 *     AUTO(order_free) struct order *order = ...  freed when the scope ends
 *     *out = order_free_keep(&order)              the last line hands it over instead */
#ifndef TRADEWIND_RUNTIME_CLEANUP_H
#define TRADEWIND_RUNTIME_CLEANUP_H

#define CLEANUP(release, type)                                                                     \
    __attribute__((unused)) static inline void release##_auto(type *owned)                         \
    {                                                                                              \
        if (*owned != NULL)                                                                        \
            release(*owned);                                                                       \
    }                                                                                              \
    __attribute__((unused)) static inline type release##_keep(type *owned)                         \
    {                                                                                              \
        type kept = *owned;                                                                        \
        *owned = NULL;                                                                             \
        return kept;                                                                               \
    }

/* For a struct that lives in the scope: x_init ... x_clear. */
#define CLEANUP_IN_PLACE(clear, type)                                                              \
    __attribute__((unused)) static inline void clear##_auto(type *owned)                           \
    {                                                                                              \
        clear(owned);                                                                              \
    }

#define AUTO(release) __attribute__((cleanup(release##_auto)))

#endif
