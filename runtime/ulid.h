/* ULIDs: 26 characters of Crockford base 32, 48 bits of milliseconds and 80 random bits.
 *
 * They sort by the time they were made, so that new rows go to the right end of an index. Source:
 * https://github.com/ulid/spec */
#ifndef TRADEWIND_RUNTIME_ULID_H
#define TRADEWIND_RUNTIME_ULID_H

#include <stdint.h>

#define ULID_SIZE 27 /* with the NUL */
#define ULID_RANDOM_BYTES 10

/** The ULID of this time and these random bytes. */
void ulid_make(char out[ULID_SIZE], int64_t utc_ms, const uint8_t random[ULID_RANDOM_BYTES]);

/** The same, counted up from these random bytes until partition_of(out, partitions) == shard. */
void ulid_make_in_shard(char out[ULID_SIZE], int64_t utc_ms,
                        const uint8_t random[ULID_RANDOM_BYTES], uint32_t shard,
                        uint32_t partitions);

#endif
