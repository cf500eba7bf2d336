/* Two threads write one number without a lock, on purpose: test_threads.py passes when the thread
 * sanitizer notices. */
#include <pthread.h>
#include <stddef.h>

static volatile int number;

static void *count(void *unused)
{
    for (int i = 0; i < 100000; i++)
        number++;
    return unused;
}

int main(void)
{
    pthread_t other;

    if (pthread_create(&other, NULL, count, NULL) != 0)
        return 1;
    count(NULL);
    pthread_join(other, NULL);
    return 0;
}
