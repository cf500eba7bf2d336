/* What the files of the inventory part know of each other. */
#ifndef TRADEWIND_INVENTORY_INVENTORY_H
#define TRADEWIND_INVENTORY_INVENTORY_H

#include "consumers/inventory/ledger_store.h"
#include "events/part.h"

/** The part's store, which holds its state. */
struct ledger_store *inventory_store(struct host *host);

/* Requests become commands: they see and change the stock in the worker's unit of work, so what
 * they are told is what the ledger says. */
enum inventory_command {
    COMMAND_RECEIPTS = 1,
    COMMAND_STOCK,      /* one SKU */
    COMMAND_STOCK_PAGE, /* many */
    COMMAND_BEAT,       /* not a request: a document although nothing happens */
};

enum err_kind inventory_act_receipts(struct unit *unit, struct command *command, struct err *err);
enum err_kind inventory_act_stock(struct unit *unit, struct command *command);
enum err_kind inventory_act_stock_page(struct unit *unit, struct command *command);

#define INVENTORY_ROUTES 3
extern const struct http_route inventory_routes[INVENTORY_ROUTES];

#endif
