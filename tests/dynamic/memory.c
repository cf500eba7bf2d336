/* Decides by memory that nobody wrote, and loses memory: both on purpose. test_memory.py passes
 * when valgrind finds the two. */
#include <stdio.h>
#include <stdlib.h>

static void *volatile kept;

int main(void)
{
    int *number = malloc(sizeof *number);

    if (*number > 7)
        puts("by chance");
    free(number);
    kept = malloc(100);
    kept = NULL;
    return 0;
}
