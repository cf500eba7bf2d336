/* uthash, with memory from us: without it, it leaves the process without a word. */
#ifndef TRADEWIND_RUNTIME_HASH_H
#define TRADEWIND_RUNTIME_HASH_H

#include "runtime/bytes.h"

#include <stdlib.h>

#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(memory, size) free(memory)
#include <uthash.h>

#endif
