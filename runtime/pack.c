#include "runtime/pack.h"

#include <assert.h>
#include <zstd.h>

#define LEVEL 1

void pack(struct buf *out, struct view bytes)
{
    size_t room = ZSTD_compressBound(bytes.size);
    size_t size = ZSTD_compress(buf_reserve(out, room), room, bytes.data, bytes.size, LEVEL);

    assert(!ZSTD_isError(size)); /* only for want of room */
    out->size += size;
}

enum err_kind unpack(struct view *out, struct view frame, size_t max, struct arena *arena,
                     struct err *err)
{
    unsigned long long want = ZSTD_getFrameContentSize(frame.data, frame.size);
    char *bytes;
    size_t size;

    if (want == ZSTD_CONTENTSIZE_ERROR || want == ZSTD_CONTENTSIZE_UNKNOWN)
        return err_set(err, ERR_REJECT, "no zstd frame of known size");
    if (want > max)
        return err_set(err, ERR_REJECT, "a zstd frame of %llu bytes, want at most %zu", want, max);
    bytes = arena_alloc(arena, (size_t)want + 1);
    size = ZSTD_decompress(bytes, (size_t)want, frame.data, frame.size);
    if (ZSTD_isError(size))
        return err_set(err, ERR_REJECT, "a zstd frame that cannot be unpacked: %s",
                       ZSTD_getErrorName(size));
    *out = view_of(bytes, size);
    return ERR_OK;
}
