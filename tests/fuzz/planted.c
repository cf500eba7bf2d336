/* A target with a mistake, to see that one is found and told: it reads behind the bytes "trade". */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);

    memcpy(copy, data, size);
    if (size == 5 && memcmp(copy, "trade", 5) == 0)
        HOLDS(((volatile char *)copy)[size + 1] == 0, "out of its bounds");
    free(copy);
    return 0;
}
