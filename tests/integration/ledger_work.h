/* What the tests of inventory's ledger share: stores on a database that each test has for itself,
 * and units of work as the host makes them. */
#ifndef TRADEWIND_TESTS_INTEGRATION_LEDGER_WORK_H
#define TRADEWIND_TESTS_INTEGRATION_LEDGER_WORK_H

#include "consumers/inventory/ledger_store.h"
#include "runtime/mongo.h"

#define P 4
#define V(text) VIEW_LITERAL(text)

const char *uri(void);
struct mongo *open_mongo(void);
/** After each test. */
void drop_all(void);

/** gives a store. */
struct store open_store(const char *instance, int64_t belief_ms);
/** One whose relay has to read the chain for every record. */
struct store open_store_that_keeps_nothing(void);
struct mark take_over(struct store *store);

/* A unit of work as the host makes one: a receipt, its record in a shard (1), the mark moved. */
struct work {
    struct arena arena;
    struct commit commit;
    struct mark mark;
    int32_t shard;
    uint64_t last_number;
    struct journal_record record;
    struct stock_item item;
};

enum err_kind begin(struct store *store, struct work *work, struct mark mark, struct err *err);
void receive(struct store *store, struct work *work, const char *id);
struct mark commit_receipt(struct store *store, struct mark mark, const char *id);
struct mark commit_receipt_in(struct store *store, struct mark mark, const char *id, int32_t shard);
/** Units of the one SKU. */
int64_t on_hand(const struct store *store);
/** For store.read: context is the next number, each record has to have it. */
void keep_number(void *context, const struct journal_record *record);

#endif
