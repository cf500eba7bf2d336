#include "runtime/murmur2.h"
#include "runtime/ulid.h"

#include <criterion/criterion.h>

/* Values of org.apache.kafka.common.utils.UtilsTest.testMurmur2. */
Test(murmur2, it_is_the_hash_of_the_java_client)
{
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq((int32_t)murmur2(view_str(cases[i].key)), cases[i].hash, "%s", cases[i].key);
}

Test(murmur2, a_negative_hash_loses_its_sign_and_not_its_bits)
{
    /* -973932308 & 0x7fffffff = 1173551340 */
    cr_expect_eq(partition_of(view_str("21"), 12), 1173551340u % 12);
    cr_expect_eq(partition_of(view_str("abc"), 12), 479470107u % 12);
}

Test(ulid, time_and_random_bytes_are_written_in_crockford_base_32)
{
    static const uint8_t none[ULID_RANDOM_BYTES] = {0};
    static const uint8_t all[ULID_RANDOM_BYTES] = {255, 255, 255, 255, 255,
                                                   255, 255, 255, 255, 255};
    char id[ULID_SIZE];

    ulid_make(id, 1469918176385, none); /* the time of the specification's example */
    cr_expect_str_eq(id, "01ARYZ6S410000000000000000");
    ulid_make(id, 281474976710655, all);
    cr_expect_str_eq(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
}

Test(ulid, one_can_be_had_for_every_shard)
{
    static const uint8_t random[ULID_RANDOM_BYTES] = {1, 2, 3, 4, 5, 6, 7, 255, 255, 255};
    char id[ULID_SIZE];

    for (uint32_t shard = 0; shard < 12; shard++) {
        ulid_make_in_shard(id, 1469918176385, random, shard, 12);

        cr_expect_eq(partition_of(view_str(id), 12), shard, "%s", id);
        cr_expect_eq(memcmp(id, "01ARYZ6S41", 10), 0, "%s", id);
    }
}
