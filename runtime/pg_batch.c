#include "runtime/pg_batch.h"

#include <assert.h>

void pg_batch_start(struct pg_batch *batch, const enum pg_element *elements, int count)
{
    assert(count <= PG_BATCH_COLUMNS);
    batch->column_count = count;
    for (int i = 0; i < count; i++)
        pg_column_start(&batch->columns[i], elements[i]);
}

void pg_batch_queue(const struct pg_batch *batch, struct pg *pg,
                    const struct pg_statement *statement)
{
    struct pg_args args = {0};

    if (batch->columns[0].count == 0)
        return;
    for (int i = 0; i < batch->column_count; i++) {
        assert(batch->columns[i].count == batch->columns[0].count);
        pg_arg_column(&args, (struct pg_column *)&batch->columns[i]);
    }
    pg_queue(pg, statement, &args);
}

void pg_batch_clear(struct pg_batch *batch)
{
    for (int i = 0; i < PG_BATCH_COLUMNS; i++)
        pg_column_clear(&batch->columns[i]);
}
