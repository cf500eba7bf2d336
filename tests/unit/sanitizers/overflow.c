/* Overflows an integer on purpose: this test passes when the build notices. */
#include <criterion/criterion.h>
#include <limits.h>

static volatile int largest = INT_MAX;

Test(planted, overflow)
{
    largest = largest + 1;
}
