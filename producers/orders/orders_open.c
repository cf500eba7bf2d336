#include "producers/orders/orders_open.h"

#include "saga/deadline.h"

#include <stdlib.h>

void open_shard_start(struct open_shard *shard)
{
    open_shard_stop(shard);
    shard->ours = true;
}

void open_shard_stop(struct open_shard *shard)
{
    free(shard->orders);
    *shard = (struct open_shard){0};
}

void open_shard_add(struct open_shard *shard, uint64_t number, int64_t deadline_ms)
{
    if (!shard->ours || number <= shard->looked_at)
        return;
    shard->orders = mem_room(shard->orders, shard->count, &shard->capacity, sizeof *shard->orders);
    shard->orders[shard->count++] = (struct open_order){
        .number = number,
        .acknowledged_ms = -1,
        .deadline_ms = deadline_ms < INT32_MAX ? (int32_t)deadline_ms : INT32_MAX,
    };
    shard->looked_at = number;
}

void open_shard_caught_up(struct open_shard *shard)
{
    shard->young = 0;
}

static void mark_gone(struct open_shard *shard, struct open_order *order)
{
    if (!order->gone)
        shard->gone++;
    order->gone = true;
}

void open_shard_drop_below(struct open_shard *shard, uint64_t number)
{
    for (size_t i = 0; i < shard->count && shard->orders[i].number < number; i++)
        mark_gone(shard, &shard->orders[i]);
}

struct open_order *open_shard_find(struct open_shard *shard, uint64_t number)
{
    size_t low = 0, high = shard->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (shard->orders[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < shard->count && shard->orders[low].number == number ? &shard->orders[low] : NULL;
}

void open_shard_placed(struct open_shard *shard, uint64_t number)
{
    if (shard->ours && number > shard->looked_at)
        shard->young++;
}

void open_shard_decided(struct open_shard *shard, uint64_t number, bool confirmed)
{
    struct open_order *order = open_shard_find(shard, number);

    if (!shard->ours)
        return;
    if (order != NULL)
        mark_gone(shard, order);
    else if (number > shard->looked_at && shard->young > 0)
        shard->young--;
    if (confirmed && number > shard->confirmed)
        shard->confirmed = number;
}

size_t open_shard_count(const struct open_shard *shard)
{
    return shard->count - shard->gone + shard->young;
}

static void forget_gone(struct open_shard *shard)
{
    size_t kept = 0;

    for (size_t i = 0; i < shard->count && shard->gone > 0; i++) {
        if (!shard->orders[i].gone)
            shard->orders[kept++] = shard->orders[i];
    }
    if (shard->gone > 0)
        shard->count = kept;
    shard->gone = 0;
}

size_t open_shard_pulse(struct open_shard *shard, struct open_moment moment, int64_t late_ms)
{
    size_t late = 0;

    forget_gone(shard);
    for (size_t i = 0; i < shard->count; i++) {
        struct open_order *order = &shard->orders[i];

        if (order->acknowledged_ms < 0 && order->number <= moment.published)
            order->acknowledged_ms = moment.now_ms;
        late += order->acknowledged_ms >= 0 && order->number > shard->confirmed &&
                moment.now_ms - order->acknowledged_ms > late_ms;
    }
    return late;
}

int64_t open_order_deadline_ms(const struct open_order *order)
{
    return deadline_moment_ms(order->acknowledged_ms, order->deadline_ms);
}

struct open_order *open_shard_next_due(struct open_shard *shard, int64_t now_ms, size_t *cursor)
{
    while (*cursor < shard->count) {
        struct open_order *order = &shard->orders[(*cursor)++];

        if (!order->gone && !order->asked && open_order_deadline_ms(order) < now_ms)
            return order;
    }
    return NULL;
}
