#include "runtime/ulid.h"

#include "runtime/murmur2.h"

#include <assert.h>

void ulid_make(char out[ULID_SIZE], int64_t utc_ms, const uint8_t random[ULID_RANDOM_BYTES])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t time = (uint64_t)utc_ms & 0xffffffffffffu;
    uint64_t bits = 0;
    unsigned bit_count = 0;

    for (int i = 9; i >= 0; i--, time >>= 5)
        out[i] = digits[time & 31];
    for (unsigned i = 0, at = 10; i < ULID_RANDOM_BYTES; i++) {
        bits = bits << 8 | random[i];
        for (bit_count += 8; bit_count >= 5; bit_count -= 5)
            out[at++] = digits[bits >> (bit_count - 5) & 31];
    }
    out[ULID_SIZE - 1] = '\0';
}

void ulid_make_in_shard(char out[ULID_SIZE], int64_t utc_ms,
                        const uint8_t random[ULID_RANDOM_BYTES], uint32_t shard,
                        uint32_t partitions)
{
    uint8_t bytes[ULID_RANDOM_BYTES];

    assert(shard < partitions);
    memcpy(bytes, random, sizeof bytes);
    for (;;) {
        ulid_make(out, utc_ms, bytes);
        if (partition_of(view_of(out, ULID_SIZE - 1), partitions) == shard)
            return;
        for (int i = ULID_RANDOM_BYTES - 1; i >= 0 && ++bytes[i] == 0; i--)
            ; /* count up, with carry */
    }
}
