#include "consumers/fraud/fraud_history.h"

#include <stdlib.h>

void history_start(struct history *history, size_t order_count, struct arena *arena)
{
    history->customers = arena_array(arena, order_count + 1, sizeof *history->customers);
    history->count = 0;
}

void history_add(struct history *history, struct view customer_id, int64_t ordered_us)
{
    history->customers[history->count++] = (struct customer){
        .id = customer_id,
        .first_us = ordered_us,
        .last_us = ordered_us,
        .oldest_us = ordered_us,
        .newest_us = ordered_us,
    };
}

static int compare_customers(const void *a, const void *b)
{
    return view_compare(((const struct customer *)a)->id, ((const struct customer *)b)->id);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void history_sort(struct history *history)
{
    struct customer *all = history->customers;
    size_t count = 0;

    qsort(all, history->count, sizeof *all, compare_customers);
    for (size_t i = 0; i < history->count; i++) {
        if (count == 0 || !view_equal(all[count - 1].id, all[i].id)) {
            all[count++] = all[i];
            continue;
        }
        all[count - 1].first_us = smaller(all[count - 1].first_us, all[i].first_us);
        all[count - 1].last_us = larger(all[count - 1].last_us, all[i].last_us);
        all[count - 1].oldest_us = all[count - 1].first_us;
        all[count - 1].newest_us = all[count - 1].last_us;
    }
    history->count = count;
}

struct customer *history_find(const struct history *history, struct view customer_id)
{
    struct customer key = {.id = customer_id};

    return history->count == 0
               ? NULL
               : bsearch(&key, history->customers, history->count, sizeof key, compare_customers);
}

void customer_note(struct customer *customer, int64_t ordered_us, struct arena *arena)
{
    customer->ordered_us = arena_room(arena, customer->ordered_us, customer->count,
                                      &customer->capacity, sizeof *customer->ordered_us);
    customer->ordered_us[customer->count++] = ordered_us;
}

int64_t history_window_start(int64_t us, int64_t window_us)
{
    int64_t start_us;

    return __builtin_sub_overflow(us, window_us, &start_us) ? INT64_MIN : start_us;
}

int64_t customer_orders_before(const struct customer *customer, int64_t ordered_us,
                               int64_t window_us)
{
    int64_t start_us = history_window_start(ordered_us, window_us), orders = 0;

    for (size_t i = 0; i < customer->count; i++)
        orders += customer->ordered_us[i] <= ordered_us && customer->ordered_us[i] > start_us;
    return orders;
}
