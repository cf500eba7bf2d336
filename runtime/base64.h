/* Base64 (RFC 4648): the standard alphabet with padding out, the URL alphabet without padding both
 * ways. */
#ifndef TRADEWIND_RUNTIME_BASE64_H
#define TRADEWIND_RUNTIME_BASE64_H

#include "runtime/bytes.h"

void base64_append(struct buf *out, struct view bytes);
bool base64_decode(struct buf *out, struct view text); /* as base64url_decode */
void base64url_append(struct buf *out, struct view bytes);
/** Append what text stands for; false (and nothing appended) on any other character or length. */
bool base64url_decode(struct buf *out, struct view text);

#endif
