/* The partition a Java client would choose for a key: its murmur2 and its modulo. */
#ifndef TRADEWIND_RUNTIME_MURMUR2_H
#define TRADEWIND_RUNTIME_MURMUR2_H

#include "runtime/bytes.h"

/** murmur2 as in org.apache.kafka.common.utils.Utils (seed 0x9747b28c). */
uint32_t murmur2(struct view key);

/** toPositive(murmur2(key)) % partitions, as Kafka's default partitioner; partitions >= 1. */
uint32_t partition_of(struct view key, uint32_t partitions);

#endif
