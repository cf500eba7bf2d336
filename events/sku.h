/* A SKU, as it is written and as it is kept.
 *
 * 1 to 64 bytes of printable ASCII without a space first or last; letters are folded to capitals,
 * so that "85123a" and "85123A" are one product. Real shops have codes such as "BANK CHARGES". */
#ifndef TRADEWIND_EVENTS_SKU_H
#define TRADEWIND_EVENTS_SKU_H

#include "runtime/json.h"

#define SKU_MAX 64 /* bytes */
#define SKU_WANTED "1 to 64 bytes of printable ASCII, no space first or last"

/** The SKU that text is, in capitals, in the arena; VIEW_NONE: it is none (want SKU_WANTED). */
struct view sku_fold(struct view text, struct arena *arena);

/** The member "sku" of an object, folded, in the reader's arena. VIEW_NONE: reader says why. */
struct view sku_read(struct json_reader *reader, const struct json *object);

#endif
