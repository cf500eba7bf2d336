/* Inventory's ledger, read and added up anew for an audit: schemas/mongo/ledger.json and
 * snapshot.json say what lies there. It shares no code with the part that writes it. */
#ifndef TRADEWIND_OPS_AUDIT_LEDGER_H
#define TRADEWIND_OPS_AUDIT_LEDGER_H

#include "ops/audit.h"

/**
 * From the oldest snapshot that all later documents are still there for (or from the beginning) to
 * the chain's present end, entry by entry. Fills the ledger's side of each SKU, the dead letters,
 * and whether stock moved since the topics were read. A store that cannot be read is left out.
 */
void audit_ledger_read(struct audit *audit, const char *uri);

#endif
