#include "ops/replay/fetch_waker.h"

#include "runtime/kafka.h"

#define ANSWER_MS 100

static void *run_waker(void *context)
{
    struct fetch_waker *waker = context;

    pthread_mutex_lock(&waker->lock);
    for (;;) {
        const char *topic;
        int32_t partition;
        int64_t end = RD_KAFKA_OFFSET_END;

        while (waker->topic == NULL && !waker->ends)
            pthread_cond_wait(&waker->asked, &waker->lock);
        if (waker->ends)
            break;
        topic = waker->topic;
        partition = waker->partition;
        waker->topic = NULL;
        pthread_mutex_unlock(&waker->lock);
        kafka_offsets_at(waker->client, topic, &partition, 1, &end, ANSWER_MS, NULL);
        pthread_mutex_lock(&waker->lock);
    }
    pthread_mutex_unlock(&waker->lock);
    return NULL;
}

void fetch_waker_init(struct fetch_waker *waker, rd_kafka_t *client)
{
    *waker = (struct fetch_waker){.client = client};
    pthread_mutex_init(&waker->lock, NULL);
    pthread_cond_init(&waker->asked, NULL);
}

void fetch_waker_wake(struct fetch_waker *waker, const char *topic, int32_t partition)
{
    /* Few readers read so much that there has to be a thread; without one it is only slower. */
    if (!waker->runs)
        waker->runs = pthread_create(&waker->thread, NULL, run_waker, waker) == 0;
    pthread_mutex_lock(&waker->lock);
    waker->topic = topic;
    waker->partition = partition;
    pthread_cond_signal(&waker->asked);
    pthread_mutex_unlock(&waker->lock);
}

void fetch_waker_clear(struct fetch_waker *waker)
{
    if (waker->client == NULL)
        return;
    pthread_mutex_lock(&waker->lock);
    waker->ends = true;
    pthread_cond_signal(&waker->asked);
    pthread_mutex_unlock(&waker->lock);
    if (waker->runs)
        pthread_join(waker->thread, NULL);
    pthread_mutex_destroy(&waker->lock);
    pthread_cond_destroy(&waker->asked);
    *waker = (struct fetch_waker){0};
}
