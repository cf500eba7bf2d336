/* How the part is: /livez, /readyz, /health.
 *
 * /livez is answered by the process alone. What the others say comes from what the part meets as it
 * works; only a store that nobody has a commit for would stay unknown, so a thread of its own asks
 * it twice a second, on a session of its own, and looks whether the group gives out partitions.
 * Nothing here waits for a server while it answers. */
#include "events/host.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PROBE_EVERY_MS 500
/* A store that has not answered for so long does not answer. */
#define STORE_SILENT_MS 2000
/* A rebalance, and what a broker that was killed needs, are over by then. */
#define NO_PARTITIONS_MS 30000
#define CHECKS_MAX 4

/* --- Watching the group --------------------------------------------------------------------- */

static bool broker_answers(struct host *host)
{
    /* Before it flows, the relay is still being made. */
    return atomic_load(&host->flowing) && relay_is_connected(host->relay);
}

struct group_watch {
    int64_t well_ms; /* monotonic: when all was well last */
    bool told;
};

/* Inputs that wait although the broker answers: a member that keeps the others waiting, or a group
 * coordinator that is stuck. Nobody else notices, as orders are still accepted. */
static void watch_group(struct host *host, struct group_watch *watch)
{
    int64_t now_ms = clock_monotonic_ms();
    bool waits =
        host->part->input_count > 0 && !atomic_load(&host->assigned) && broker_answers(host);

    if (!waits)
        *watch = (struct group_watch){.well_ms = now_ms};
    if (watch->told || now_ms - watch->well_ms < NO_PARTITIONS_MS)
        return;
    LOG_ERROR("no_partitions",
              "the group gives this instance no partitions although the broker answers: what it "
              "reads waits",
              log_int("seconds", (now_ms - watch->well_ms) / 1000));
    watch->told = true;
}

/* --- Asking the store ----------------------------------------------------------------------- */

static bool ends_within(struct host *host, int ms)
{
    struct pollfd end = {.fd = host->probe_end_fd, .events = POLLIN};

    return poll(&end, 1, ms) > 0;
}

static void *probe_main(void *context)
{
    struct host *host = context;
    struct group_watch watch = {.well_ms = clock_monotonic_ms()};
    bool answered = true;

    do {
        struct err err;
        bool answers = host->store.ping(host->store.self, &err) == ERR_OK;

        atomic_store(&host->store_answered_ms, answers ? clock_monotonic_ms() : 0);
        if (answered && !answers)
            LOG_WARN("store_silent", "the part's database does not answer: not ready until it does",
                     log_err(&err));
        answered = answers;
        watch_group(host, &watch);
    } while (!ends_within(host, PROBE_EVERY_MS));
    return NULL;
}

enum err_kind health_start(struct host *host, struct err *err)
{
    int failure;

    host->probe_end_fd = eventfd(0, EFD_CLOEXEC);
    if (host->probe_end_fd < 0)
        return err_set(err, ERR_STOP, "no eventfd: %s", strerror(errno));
    failure = pthread_create(&host->probe_thread, NULL, probe_main, host);
    if (failure != 0)
        return err_set(err, ERR_STOP, "no thread: %s", strerror(failure));
    host->is_probed = true;
    return ERR_OK;
}

void health_stop(struct host *host)
{
    uint64_t one = 1;

    if (!host->is_probed)
        return;
    if (write(host->probe_end_fd, &one, sizeof one) == sizeof one)
        pthread_join(host->probe_thread, NULL);
    close(host->probe_end_fd);
}

static bool store_answers(struct host *host)
{
    int64_t answered_ms = atomic_load(&host->store_answered_ms);

    return answered_ms > 0 && clock_monotonic_ms() - answered_ms < STORE_SILENT_MS;
}

/* --- The checks ----------------------------------------------------------------------------- */

struct check {
    const char *name;
    bool good;
    const char *wanted;
};

static size_t run_checks(struct host *host, struct check checks[CHECKS_MAX])
{
    size_t count = 0;
    bool leads_or_shares = host->part->lead_topic == NULL || atomic_load(&host->leads);

    checks[count++] = (struct check){"started", atomic_load(&host->flowing),
                                     "its servers answer and its database is migrated"};
    checks[count++] = (struct check){"store", atomic_load(&host->storing) && store_answers(host),
                                     "its database answers and commits go through"};
    checks[count++] =
        (struct check){"broker", broker_answers(host), "the broker acknowledges records"};
    if (host->part->input_count > 0)
        checks[count++] =
            (struct check){"consumer", atomic_load(&host->assigned) && leads_or_shares,
                           host->part->lead_topic != NULL ? "this instance leads"
                                                          : "its group has assigned partitions"};
    return count;
}

void health_livez(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, "text/plain", view_str("alive\n"));
}

/* May this instance be asked? At the start that takes all checks, once. Later it goes on answering
 * while the broker is away: what it takes in is on disk, and is sent when the broker is back. */
static bool may_be_asked(struct host *host, const struct check *check)
{
    bool is_outage = strcmp(check->name, "broker") == 0 ||
                     (strcmp(check->name, "consumer") == 0 && host->part->lead_topic == NULL);

    return check->good || (is_outage && atomic_load(&host->was_ready));
}

void health_readyz(struct http_request *request, void *context)
{
    struct host *host = context;
    struct check checks[CHECKS_MAX];
    size_t count = run_checks(host, checks);

    for (size_t i = 0; i < count; i++)
        if (!may_be_asked(host, &checks[i])) {
            http_problem(request, 503, "not-ready", VIEW_NONE, "%s: want that %s", checks[i].name,
                         checks[i].wanted);
            return;
        }
    atomic_store(&host->was_ready, true);
    http_reply(request, 200, "text/plain", view_str("ready\n"));
}

static void write_check(struct json_writer *writer, const struct check *check)
{
    json_key(writer, check->name);
    json_object_start(writer);
    json_member_str(writer, "status", check->good ? "pass" : "fail");
    json_member_str(writer, "wanted", check->wanted);
    json_object_end(writer);
}

void health_show(struct http_request *request, void *context)
{
    struct host *host = context;
    struct check checks[CHECKS_MAX];
    size_t count = run_checks(host, checks);
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};
    char why[256] = "";
    bool well = host->part->healthy == NULL || host->part->healthy(host, why, sizeof why);
    bool all = well;

    for (size_t i = 0; i < count; i++)
        all = all && checks[i].good;
    json_object_start(&writer);
    json_member_str(&writer, "part", host->part->name);
    json_member_str(&writer, "instance", host_instance(host));
    json_member_str(&writer, "status", all ? "pass" : "fail");
    json_key(&writer, "checks");
    json_object_start(&writer);
    for (size_t i = 0; i < count; i++)
        write_check(&writer, &checks[i]);
    if (!well) {
        json_key(&writer, "part");
        json_object_start(&writer);
        json_member_str(&writer, "status", "fail");
        json_member_str(&writer, "output", why);
        json_object_end(&writer);
    }
    json_object_end(&writer);
    json_object_end(&writer);
    http_reply(request, all ? 200 : 503, NULL, buf_view(&out));
}
