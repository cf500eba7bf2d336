/* Mistakes on purpose, one for each family of checks: tests/static/run passes when each is found.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

int planted_null(const int *number);
int planted_null_for_another(const int *number, int want);
void *planted_leak(size_t size, int want);
size_t planted_size(const char *text);
void planted_cancel(void);
long planted_number(const char *text);

/* clang-analyzer-core.NullDereference */
int planted_null(const int *number)
{
    if (number == NULL)
        return *number;
    return 0;
}

static int read_number(const int *number)
{
    return *number;
}

/* -Wanalyzer-null-dereference */
int planted_null_for_another(const int *number, int want)
{
    return read_number(want ? number : NULL);
}

/* clang-analyzer-unix.Malloc -Wanalyzer-malloc-leak */
void *planted_leak(size_t size, int want)
{
    void *memory = malloc(size);

    return want ? memory : NULL;
}

/* bugprone-misplaced-operator-in-strlen-in-alloc */
size_t planted_size(const char *text)
{
    char *copy = malloc(strlen(text + 1));
    size_t got = copy != NULL;

    free(copy);
    return got;
}

/* concurrency-thread-canceltype-asynchronous */
void planted_cancel(void)
{
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}

/* cert-err34-c */
long planted_number(const char *text)
{
    return atol(text);
}
