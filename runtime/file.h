/* Small files read whole and written whole: schemas, keys, the lock file. */
#ifndef TRADEWIND_RUNTIME_FILE_H
#define TRADEWIND_RUNTIME_FILE_H

#include "runtime/arena.h"
#include "runtime/err.h"

#include <sys/types.h>

/**
 * The content of a file of at most max_bytes, in arena, a NUL behind it.
 * Errors  ERR_STOP: names the file: missing, unreadable, too large
 */
enum err_kind file_read(struct view *out, const char *path, size_t max_bytes, struct arena *arena,
                        struct err *err);

/**
 * Write content under a name of its own and rename it to path: a reader sees the old file or the
 * new one, whole.
 * Errors  ERR_STOP: names the file
 */
enum err_kind file_write(const char *path, struct view content, struct err *err);

/**
 * Write a file that is not there yet.
 * Errors  ERR_STOP: it is there, or cannot be written (then none is left)
 */
enum err_kind file_create(const char *path, mode_t mode, struct view content, struct err *err);

#endif
