#include "runtime/murmur2.h"

#include <assert.h>

#define SEED 0x9747b28cu
#define MULTIPLIER 0x5bd1e995u

uint32_t murmur2(struct view key)
{
    const unsigned char *at = (const unsigned char *)key.data;
    uint32_t hash = SEED ^ (uint32_t)key.size;
    size_t left = key.size;

    for (; left >= 4; at += 4, left -= 4) {
        uint32_t word =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;

        word *= MULTIPLIER;
        word ^= word >> 24;
        word *= MULTIPLIER;
        hash = hash * MULTIPLIER ^ word;
    }
    if (left > 0) {
        for (size_t i = left; i-- > 0;)
            hash ^= (uint32_t)at[i] << (8 * i);
        hash *= MULTIPLIER;
    }
    hash ^= hash >> 13;
    hash *= MULTIPLIER;
    return hash ^ hash >> 15;
}

uint32_t partition_of(struct view key, uint32_t partitions)
{
    assert(partitions > 0);
    return (murmur2(key) & 0x7fffffffu) % partitions; /* Java has no unsigned int */
}
