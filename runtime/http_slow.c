#include "runtime/http_slow.h"

#include "runtime/bytes.h"
#include "runtime/hash.h"

/* The table keeps the order in which they began. */
struct http_reading {
    const void *connection;
    int64_t since_ms;
    bool is_late;
    UT_hash_handle hh;
};

static void drop(struct http_readings *readings, struct http_reading *reading)
{
    HASH_DEL(readings->first, reading);
    free(reading);
}

static void drop_dead(struct http_readings *readings, int64_t now_ms)
{
    while (readings->first != NULL &&
           now_ms - readings->first->since_ms > HTTP_READING_MAX_MS + 2 * HTTP_IDLE_MS)
        drop(readings, readings->first);
}

static struct http_reading *find(const struct http_readings *readings, const void *connection)
{
    struct http_reading *reading;

    HASH_FIND_PTR(readings->first, &connection, reading);
    return reading;
}

void http_readings_clear(struct http_readings *readings)
{
    while (readings->first != NULL)
        drop(readings, readings->first);
}

void http_reading_forget(struct http_readings *readings, const void *connection)
{
    struct http_reading *reading = find(readings, connection);

    if (reading != NULL)
        drop(readings, reading);
}

enum http_reading_state http_reading_note(struct http_readings *readings, const void *connection,
                                          int64_t now_ms)
{
    struct http_reading *reading = find(readings, connection);

    if (reading == NULL) {
        drop_dead(readings, now_ms);
        reading = mem_alloc(sizeof *reading);
        reading->connection = connection;
        reading->since_ms = now_ms;
        HASH_ADD_PTR(readings->first, connection, reading);
    }
    if (reading->is_late)
        return HTTP_READING_LATE;
    reading->is_late = now_ms - reading->since_ms > HTTP_READING_MAX_MS;
    return reading->is_late ? HTTP_READING_TOO_SLOW : HTTP_READING_IN_TIME;
}

bool http_reading_end(struct http_readings *readings, const void *connection)
{
    struct http_reading *reading = find(readings, connection);
    bool is_late = reading != NULL && reading->is_late;

    if (reading != NULL)
        drop(readings, reading);
    return is_late;
}

bool http_reading_is_under_way(const struct http_readings *readings, const void *connection)
{
    return find(readings, connection) != NULL;
}

size_t http_reading_count(const struct http_readings *readings)
{
    return HASH_COUNT(readings->first);
}
