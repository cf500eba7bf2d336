/* Loses memory on purpose: this test passes when the build notices. */
#include <criterion/criterion.h>
#include <stdlib.h>

static void *volatile kept;

Test(planted, leak)
{
    kept = malloc(100);
    kept = NULL;
}
