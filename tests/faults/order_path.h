/* An order's way through everything of ours that is pure: token, body, decision, codec, envelope,
 * letter. No server, so that it can be walked thousands of times. */
#ifndef TRADEWIND_TESTS_FAULTS_ORDER_PATH_H
#define TRADEWIND_TESTS_FAULTS_ORDER_PATH_H

#include "events/contact.h"
#include "events/ids.h"
#include "runtime/err.h"

/* What every walk begins with. */
struct road {
    struct schema_ids *ids;
    struct contact_key contact_key;
    const char *jwks_path;
    struct view token;
};

/**
 * Walk it with orders of `lines` lines.
 * digest  of what was published and mailed: the same walk has the same
 * Errors  whatever a reader or a decision said
 */
enum err_kind order_path_walk(uint64_t *digest, const struct road *road, size_t lines,
                              struct err *err);

/** A request to a server of ours in this process, over HTTP; lines are not looked at. */
enum err_kind http_path_walk(uint64_t *digest, const struct road *road, size_t lines,
                             struct err *err);

#endif
