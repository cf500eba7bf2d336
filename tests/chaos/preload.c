/* Preloaded into a part: its clock is off, and it dies at marked points of its work (preload.py).
 *
 * Everything lies at calls of libraries, so that what is under test is the program as it is
 * shipped. The file named by CHAOS_ORDERS is shared by the part's processes: how far off their time
 * of day is (a monotonic clock cannot be stepped), and a counter for each point. A counter above 0
 * is taken down by each passing; whoever takes the last one dies there.
 *
 * libfaketime cannot do the clock's half: jemalloc asks for the time before it is ready, and both
 * then wait for each other. Here the time comes from the kernel, by no library. */
#include <curl/curl.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <mongoc/mongoc.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum point { /* in the order of preload.py */
             BEFORE_COMMIT,
             COMMIT_SENT,
             AFTER_COMMIT,
             BEFORE_SEND,
             BEFORE_REPORT,
             AFTER_REPORT,
             AT_ASSIGNMENT,
             AFTER_ASSIGNMENT,
             AT_REVOCATION,
             AFTER_ANSWER,
             AFTER_MAIL,
             POINTS
};

struct orders {
    _Atomic int64_t clock_off_s;
    _Atomic int64_t counters[POINTS];
};

static struct orders *orders;
static _Thread_local bool commit_is_queued;
static void (*on_delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *);

__attribute__((constructor)) static void open_orders(void)
{
    const char *path = getenv("CHAOS_ORDERS");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory;

    if (file < 0)
        return;
    memory = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED)
        orders = memory;
}

static void pass(enum point point)
{
    if (orders != NULL && atomic_load(&orders->counters[point]) > 0 &&
        atomic_fetch_sub(&orders->counters[point], 1) == 1)
        kill(getpid(), SIGKILL);
}

#define REAL(function) ((__typeof__(&function))(uintptr_t)dlsym(RTLD_NEXT, #function))

/* --- The clock ------------------------------------------------------------------------------- */

/* How far off the last time was that this thread was given. */
static _Thread_local int64_t given_off_s;

static int64_t off_s(void)
{
    given_off_s = orders != NULL ? atomic_load(&orders->clock_off_s) : 0;
    return given_off_s;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int result = (int)syscall(SYS_clock_gettime, id, out);

    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        out->tv_sec += off_s();
    return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *out, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, out) == 0 ? base : 0;
}

/* The kernel waits by its own clock. A time of a monotonic clock is years before any of the day's.
 */
static struct timespec for_kernel(const struct timespec *until)
{
    struct timespec there = *until;

    if (there.tv_sec > 1000000000)
        there.tv_sec -= given_off_s;
    return there;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    const struct timespec there = for_kernel(until);

    return REAL(pthread_cond_timedwait)(condition, mutex, &there);
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
                  const struct timespec *restrict until)
{
    const struct timespec there = for_kernel(until);

    return REAL(cnd_timedwait)(condition, mutex, &there);
}

/* --- The commit: PostgreSQL ------------------------------------------------------------------ */

int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int result_format)
{
    if (strcmp(name, "commit") == 0) {
        pass(BEFORE_COMMIT);
        commit_is_queued = true;
    }
    return REAL(PQsendQueryPrepared)(conn, name, count, values, lengths, formats, result_format);
}

int PQpipelineSync(PGconn *conn)
{
    int result = REAL(PQpipelineSync)(conn);

    if (commit_is_queued)
        pass(COMMIT_SENT);
    commit_is_queued = false;
    return result;
}

PGresult *PQgetResult(PGconn *conn)
{
    PGresult *result = REAL(PQgetResult)(conn);

    if (result != NULL && PQresultStatus(result) == PGRES_COMMAND_OK &&
        strcmp(PQcmdStatus(result), "COMMIT") == 0)
        pass(AFTER_COMMIT);
    return result;
}

/* --- The commit: inventory's ledger ---------------------------------------------------------- */

bool mongoc_collection_insert_one(mongoc_collection_t *collection, const bson_t *document,
                                  const bson_t *options, bson_t *reply, bson_error_t *error)
{
    bool done;

    pass(BEFORE_COMMIT);
    done = REAL(mongoc_collection_insert_one)(collection, document, options, reply, error);
    pass(AFTER_COMMIT);
    return done;
}

/* --- Sending and delivery reports ------------------------------------------------------------ */

/* The relay makes a record's headers right before it sends it. */
rd_kafka_headers_t *rd_kafka_headers_new(size_t count)
{
    pass(BEFORE_SEND);
    return REAL(rd_kafka_headers_new)(count);
}

static void report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    pass(BEFORE_REPORT);
    on_delivered(client, message, opaque);
    pass(AFTER_REPORT);
}

void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *conf,
                                 void (*callback)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
    on_delivered = callback; /* the relay's: there is no other */
    REAL(rd_kafka_conf_set_dr_msg_cb)(conf, report);
}

/* --- Assignment and revocation: what the callbacks do of it ---------------------------------- */

rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *client,
                                    const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_resp_err_t code;

    pass(partitions != NULL ? AT_ASSIGNMENT : AT_REVOCATION);
    code = REAL(rd_kafka_assign)(client, partitions);
    if (partitions != NULL)
        pass(AFTER_ASSIGNMENT);
    return code;
}

/* --- The world outside ----------------------------------------------------------------------- */

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    CURLMsg *message = REAL(curl_multi_info_read)(multi, left);

    if (message != NULL && message->msg == CURLMSG_DONE)
        pass(AFTER_ANSWER);
    return message;
}

CURLcode curl_easy_perform(CURL *easy)
{
    CURLcode code = REAL(curl_easy_perform)(easy);

    pass(AFTER_MAIL);
    return code;
}
