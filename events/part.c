/* A part's life: settings, database, HTTP, relay, worker; and the way back on SIGTERM. */
#include "events/host.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/murmur2.h"
#include "runtime/own_topic.h"
#include "runtime/pg_store.h"

#include <sodium.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WAIT_FOR_SERVERS_MS 500
#define RELAY_GRACE_MS 5000
#define HTTP_GRACE_MS 2000
#define LEAVE_S 9
#define QUERIES_MAX 1000

/* --- What a part may ask of its host --------------------------------------------------------- */

void host_set_context(struct host *host, void *context)
{
    host->context = context;
}

void *host_context(const struct host *host)
{
    return host->context;
}

const struct part *host_part(const struct host *host)
{
    return host->part;
}

const char *host_instance(const struct host *host)
{
    (void)host;
    return setting_text("TRADEWIND_INSTANCE");
}

int32_t host_partitions(const struct host *host)
{
    return host->partitions;
}

int32_t host_shard_of(const struct host *host, struct view key)
{
    return (int32_t)partition_of(key, (uint32_t)host->partitions);
}

struct schema_ids *host_schema_ids(const struct host *host)
{
    return host->ids;
}

size_t host_own_shards(struct host *host, int32_t *shards)
{
    return host->relay != NULL ? relay_shards(host->relay, shards) : 0;
}

uint64_t host_published(struct host *host, int32_t shard)
{
    return host->relay != NULL ? relay_published(host->relay, shard) : 0;
}

bool host_read_to_end_since(struct host *host, int32_t shard, int64_t since_ms)
{
    return host->intake != NULL && intake_read_to_end_since(host->intake, shard, since_ms);
}

int64_t host_silence_ms(struct host *host, const char *name)
{
    return host->intake != NULL ? intake_silence_ms(host->intake, name) : INT64_MAX;
}

bool host_leads(const struct host *host)
{
    return atomic_load(&host->leads);
}

/* --- Queries -------------------------------------------------------------------------------- */

void host_query(struct host *host, struct http_request *request,
                void (*answer)(struct host *host, struct http_request *request, struct pg *pg))
{
    struct query *query;

    pthread_mutex_lock(&host->query_lock);
    if (host->query_count >= QUERIES_MAX || atomic_load(&host->stopping)) {
        pthread_mutex_unlock(&host->query_lock);
        http_reply_header(request, "Retry-After", "1");
        http_problem(request, 503, "busy", VIEW_NONE,
                     "too many requests wait: try again in a second");
        return;
    }
    query = mem_alloc(sizeof *query);
    query->request = request;
    query->answer = answer;
    *host->queries_last = query;
    host->queries_last = &query->next;
    host->query_count++;
    pthread_cond_signal(&host->query_ready);
    pthread_mutex_unlock(&host->query_lock);
}

static struct query *next_query(struct host *host)
{
    struct query *query;

    pthread_mutex_lock(&host->query_lock);
    while (host->queries == NULL && !atomic_load(&host->stopping))
        pthread_cond_wait(&host->query_ready, &host->query_lock);
    query = host->queries;
    if (query != NULL) {
        host->queries = query->next;
        host->query_count--;
        if (host->queries == NULL)
            host->queries_last = &host->queries;
    }
    pthread_mutex_unlock(&host->query_lock);
    return query;
}

/* A store of the part's own (inventory's) may be something else than PostgreSQL. */
static bool has_database(const struct host *host)
{
    return host->part->open_store == NULL;
}

static void *query_main(void *context)
{
    struct host *host = context;
    struct query *query;

    while ((query = next_query(host)) != NULL) {
        struct err err;
        enum err_kind kind = ERR_OK;

        if (has_database(host) &&
            (host->query_session == NULL || pg_is_lost(host->query_session))) {
            pg_close(host->query_session);
            host->query_session = NULL;
            kind = pg_open(&host->query_session, setting_text("TRADEWIND_<PART>_DATABASE"),
                           host->part->name, &err);
        }
        if (kind == ERR_OK) {
            query->answer(host, query->request, host->query_session);
            if (host->query_session != NULL)
                pg_rollback(host->query_session);
        } else {
            http_reply_header(query->request, "Retry-After", "1");
            http_problem(query->request, 503, "database-unavailable", VIEW_NONE,
                         "the database of %s does not answer: try again in a second",
                         host->part->name);
        }
        free(query);
    }
    return NULL;
}

/* --- Routes ---------------------------------------------------------------------------------- */

static void get_metrics(struct http_request *request, void *context)
{
    AUTO(buf_clear) struct buf out = {0};

    (void)context;
    metrics_write(&out);
    http_reply(request, 200, "text/plain; version=0.0.4", buf_view(&out));
}

static const struct http_route HOST_ROUTES[] = {
    {HTTP_GET, "/livez", ROLE_ANY, 0, health_livez},
    {HTTP_GET, "/readyz", ROLE_ANY, 0, health_readyz},
    {HTTP_GET, "/health", ROLE_ANY, 0, health_show},
    {HTTP_GET, "/metrics", ROLE_ANY, 0, get_metrics},
    {HTTP_GET, "/consumer", ROLE_OPERATOR, 0, consumer_show},
    {HTTP_POST, "/consumer/pause", ROLE_OPERATOR, 1024, consumer_pause},
    {HTTP_POST, "/consumer/resume", ROLE_OPERATOR, 1024, consumer_resume},
    {HTTP_POST, "/consumer/throttle", ROLE_OPERATOR, 1024, consumer_throttle},
    {HTTP_GET, "/dead-letters", ROLE_OPERATOR, 0, dead_letters_list},
    {HTTP_GET, "/dead-letters/{id}", ROLE_OPERATOR, 0, dead_letters_show},
    {HTTP_POST, "/dead-letters/{id}/redrive", ROLE_OPERATOR, 1024, dead_letters_redrive},
    {HTTP_POST, "/dead-letters/{id}/drop", ROLE_OPERATOR, 1024, dead_letters_drop},
};
#define HOST_ROUTE_COUNT (sizeof HOST_ROUTES / sizeof HOST_ROUTES[0])

/* The part's own routes begin to work when the part has started. */
static void part_route(struct http_request *request, void *context)
{
    struct host *host = context;
    const struct http_route *own =
        &host->part->routes[http_route(request) - host->routes - HOST_ROUTE_COUNT];

    if (atomic_load(&host->flowing)) {
        own->handle(request, context);
        return;
    }
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, "starting", VIEW_NONE,
                 "%s is waiting for its servers: try again in a second", host->part->name);
}

static enum err_kind start_http(struct host *host, struct err *err)
{
    const struct part *part = host->part;
    size_t count = HOST_ROUTE_COUNT + part->route_count;
    const char *jwks = setting_text("TRADEWIND_JWKS");
    enum err_kind kind = ERR_OK;

    host->routes = mem_alloc(count * sizeof *host->routes);
    memcpy(host->routes, HOST_ROUTES, sizeof HOST_ROUTES);
    for (size_t i = 0; i < part->route_count; i++) {
        host->routes[HOST_ROUTE_COUNT + i] = part->routes[i];
        host->routes[HOST_ROUTE_COUNT + i].handle = part_route;
    }
    if (jwks[0] == '\0')
        return err_set(
            err, ERR_STOP,
            "TRADEWIND_JWKS is not set: want the file with the public keys that tokens are "
            "verified with; `tradewind keys` makes one");
    if (kind == ERR_OK)
        kind = token_verifier_new(&host->verifier, jwks, err);
    if (kind == ERR_OK)
        kind = http_server_start(&host->http, setting_text("TRADEWIND_<PART>_HTTP"), host->routes,
                                 count, host, host->verifier, err);
    return kind;
}

/* --- Leaving, in time ----------------------------------------------------------------------- */

/* Also from a signal's handler. */
static void ask_to_leave(struct host *host)
{
    uint64_t one = 1;

    atomic_store(&host->stopping, true);
    sem_post(&host->asked_to_leave);
    if (write(host->wake_fd, &one, sizeof one) < 0)
        return;
}

/* A server that takes requests and says nothing keeps who waits for it for up to a minute. What was
 * not committed then is done by who comes next, as after a kill. */
static void *leave_in_time(void *context)
{
    struct host *host = context;
    struct timespec left = {.tv_sec = LEAVE_S};

    while (sem_wait(&host->asked_to_leave) != 0)
        continue; /* a signal came */
    while (nanosleep(&left, &left) != 0)
        continue;
    LOG_WARN("left_unfinished", "a server did not answer for as long as there was to leave: it "
                                "ends now; who comes next goes on from what is stored");
    _exit(1);
}

static enum err_kind start_leaving_in_time(struct host *host, struct err *err)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, leave_in_time, host) != 0)
        return err_set(err, ERR_STOP, "no thread: %s", strerror(errno));
    pthread_detach(thread);
    return ERR_OK;
}

/* --- Start: each server is waited for --------------------------------------------------------- */

static void pause_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

/* Try step until it goes through; says once what it waits for, and again when that changes. */
static enum err_kind wait_for(struct host *host, const char *what,
                              enum err_kind (*step)(struct host *host, struct err *err),
                              struct err *err)
{
    char said[sizeof err->text] = "";

    for (;;) {
        enum err_kind kind = step(host, err);

        if (kind != ERR_RETRY)
            return kind;
        if (strcmp(said, err->text) != 0)
            LOG_WARN("waiting", "a server is not there yet: trying until it is",
                     log_str("for", what), log_err(err));
        memcpy(said, err->text, sizeof said);
        if (atomic_load(&host->stopping))
            return ERR_RETRY;
        pause_ms(WAIT_FOR_SERVERS_MS);
    }
}

static enum err_kind open_store(struct host *host, struct err *err)
{
    enum err_kind kind;

    if (host->part->open_store != NULL)
        kind = host->part->open_store(host, &host->store, err);
    else
        kind = pg_store_open(&host->store, setting_text("TRADEWIND_<PART>_DATABASE"),
                             host_instance(host),
                             host->partitions + 1, /* one more: what operators do */
                             setting_integer("TRADEWIND_JOURNAL_SECONDS"), part_migrations,
                             part_migration_count, err);
    host->store_is_open = kind == ERR_OK;
    return kind;
}

static enum err_kind check_topic(rd_kafka_t *client, const char *name, int32_t partitions,
                                 struct err *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, 2000);
    int count;

    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "kafka: %s", rd_kafka_err2str(code));
    count = metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR
                ? metadata->topics[0].partition_cnt
                : 0;
    rd_kafka_metadata_destroy(metadata);
    if (count == 0)
        return err_set(err, ERR_RETRY,
                       "kafka: topic %s is not there: `tradewind topics apply` makes it", name);
    if (count != partitions)
        return err_set(
            err, ERR_STOP,
            "kafka: topic %s has %d partitions, want %d (TRADEWIND_PARTITIONS); they never "
            "change in place",
            name, count, partitions);
    return ERR_OK;
}

static enum err_kind check_topics(struct host *host, struct err *err)
{
    const struct part *part = host->part;
    rd_kafka_t *client;
    enum err_kind kind =
        kafka_open_producer(&client, setting_text("TRADEWIND_KAFKA"), NULL, NULL, err);

    if (kind != ERR_OK)
        return kind;
    for (size_t i = 0; i < part->input_count && kind == ERR_OK; i++)
        kind = check_topic(client, topic_name(part->inputs[i]), host->partitions, err);
    if (kind == ERR_OK && part->publishes != TOPIC_NONE)
        kind = check_topic(client, topic_name(part->publishes), host->partitions, err);
    if (kind == ERR_OK)
        kind = check_topic(client, topic_name(TOPIC_OPS), host->partitions, err);
    if (kind == ERR_OK && part->lead_topic != NULL)
        kind = check_topic(client, part->lead_topic, 1, err);
    rd_kafka_destroy(client);
    return kind;
}

static enum err_kind compare_with_own_topic(struct host *host, struct err *err)
{
    return own_topic_check(setting_text("TRADEWIND_KAFKA"), topic_name(host->part->publishes),
                           host->part->name, host->partitions, &host->store, err);
}

static enum err_kind check_own_topic(struct host *host, struct err *err)
{
    /* A store that one instance leads is read when it leads. */
    if (host->part->publishes == TOPIC_NONE || host->part->lead_topic != NULL)
        return ERR_OK;
    return compare_with_own_topic(host, err);
}

static enum err_kind open_schemas(struct host *host, struct err *err)
{
    return schema_ids_open(&host->ids, setting_text("TRADEWIND_SCHEMAS"),
                           setting_text("TRADEWIND_REGISTRY"), err);
}

/* The relay's thread. */
static void relay_cannot_go_on(void *context, const struct err *err)
{
    struct host *host = context;

    LOG_ERROR("relay_stopped", "the relay cannot go on: this instance ends", log_err(err));
    atomic_store(&host->exit_code, 1);
    ask_to_leave(host);
}

static enum err_kind start_relay(struct host *host, struct err *err)
{
    const struct relay_options options = {
        .brokers = setting_text("TRADEWIND_KAFKA"),
        .part = host->part->name,
        .instance = host_instance(host),
        .topic = host->part->publishes != TOPIC_NONE ? topic_name(host->part->publishes) : NULL,
        .partitions = host->partitions,
        .shared_topic = topic_name(TOPIC_OPS),
        .shared_partition = host_shard_of(host, view_str(host->part->name)),
        .shared_source = host->ops_source,
        .follows_lead = host->part->lead_topic != NULL,
        .store = &host->store,
        .stop = relay_cannot_go_on,
        .context = host,
    };

    return relay_start(&host->relay, &options, err);
}

static enum err_kind taken_over(void *context, const struct mark *marks, size_t count,
                                struct err *err)
{
    struct host *host = context;
    bool begins_to_lead = host->part->lead_topic != NULL && count > 0;
    enum err_kind kind = flow_read(host, err);

    if (kind == ERR_OK && begins_to_lead)
        kind = compare_with_own_topic(host, err);
    if (kind == ERR_OK && begins_to_lead)
        relay_lead(host->relay, true);
    for (size_t i = 0; i < count && kind == ERR_OK && host->part->taken_over != NULL; i++)
        kind = host->part->taken_over(host, host->store.session(host->store.self),
                                      topic_from_name(marks[i].topic), marks[i].partition, err);
    if (kind == ERR_OK)
        atomic_store(&host->storing, true);
    return kind;
}

static void lost(void *context, const struct mark *marks, size_t count)
{
    struct host *host = context;

    if (host->part->lead_topic != NULL)
        relay_lead(host->relay, false);
    for (size_t i = 0; i < count && host->part->lost != NULL; i++)
        host->part->lost(host, topic_from_name(marks[i].topic), marks[i].partition);
}

static bool is_stopping(void *context)
{
    return atomic_load(&((struct host *)context)->stopping);
}

static enum err_kind start_intake(struct host *host, struct err *err)
{
    static const char *topics[TOPIC_COUNT], *sources[TOPIC_COUNT]; /* the intake keeps them */
    const struct part *part = host->part;
    struct intake_options options = {
        .brokers = setting_text("TRADEWIND_KAFKA"),
        .group = part->name,
        .instance = host_instance(host),
        .topics = topics,
        .sources = sources,
        .topic_count = part->input_count,
        .partitions = host->partitions,
        .lead_topic = part->lead_topic,
        .wake_fd = host->wake_fd,
        .patience_ms = part->patience_ms,
        .store = &host->store,
        .relay = host->relay,
        .context = host,
        .look = worker_look,
        .assigned = taken_over,
        .lost = lost,
        .stopping = is_stopping,
    };

    for (size_t i = 0; i < part->input_count; i++) {
        topics[i] = topic_name(part->inputs[i]);
        sources[i] = topic_writer(part->inputs[i]);
    }
    if (part->input_count == 0) {
        atomic_store(&host->storing, true);
        return ERR_OK;
    }
    return intake_start(&host->intake, &options, err);
}

static enum err_kind start_all(struct host *host, struct err *err)
{
    enum err_kind kind = start_http(host, err);

    if (kind == ERR_OK)
        kind = open_schemas(host, err);
    if (kind == ERR_OK)
        kind = wait_for(host, "its database", open_store, err);
    if (kind == ERR_OK)
        kind = wait_for(host, "its topics", check_topics, err);
    if (kind == ERR_OK)
        kind = wait_for(host, "its own topic", check_own_topic, err);
    if (kind == ERR_OK && host->part->start != NULL)
        kind = wait_for(host, "what the part needs", host->part->start, err);
    if (kind == ERR_OK)
        kind = start_relay(host, err);
    if (kind == ERR_OK)
        kind = start_intake(host, err);
    if (kind == ERR_OK)
        kind = health_start(host, err);
    if (kind == ERR_OK && pthread_create(&host->query_thread, NULL, query_main, host) != 0)
        kind = err_set(err, ERR_STOP, "no thread: %s", strerror(errno));
    return kind;
}

/* --- Stop ----------------------------------------------------------------------------------- */

static void stop_all(struct host *host)
{
    bool flowed = atomic_load(&host->flowing);

    inbox_close(&host->inbox);
    pthread_mutex_lock(&host->query_lock);
    pthread_cond_broadcast(&host->query_ready);
    pthread_mutex_unlock(&host->query_lock);
    if (flowed)
        pthread_join(host->query_thread, NULL);
    health_stop(host);
    /* Requests and leaving the group still come to the part and to the relay. */
    if (host->http != NULL)
        http_server_stop(host->http, HTTP_GRACE_MS);
    intake_stop(host->intake);
    relay_stop(host->relay, RELAY_GRACE_MS);
    host->relay = NULL;
    if (flowed && host->part->stop != NULL)
        host->part->stop(host);
    if (host->store_is_open)
        host->store.close(host->store.self);
    pg_close(host->query_session);
    schema_ids_free(host->ids);
    token_verifier_free(host->verifier);
    pg_column_clear(&host->keys_column);
    arena_clear(&host->arena);
    arena_clear(&host->unit_arena);
    free(host->records);
    free(host->routes);
    close(host->wake_fd);
}

static struct host *signalled;

static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    ask_to_leave(signalled);
    errno = saved;
}

static void catch_signals(struct host *host)
{
    struct sigaction action = {.sa_handler = on_signal};

    signalled = host;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* --- main ----------------------------------------------------------------------------------- */

static void print_help(const struct part *part)
{
    printf(
        "tradewind-%s: a part of Tradewind. It takes no arguments; these settings come from the\n"
        "environment. SIGTERM ends it within ten seconds: it finishes what it began, publishes\n"
        "what it committed, leaves.\n\n",
        part->name);
    settings_print(stdout, part->name, part->settings, part->setting_count);
}

static int run(struct host *host)
{
    struct err err = {0};
    enum log_level level = LOG_LEVEL_INFO;
    enum err_kind kind;

    log_level_parse(setting_text("TRADEWIND_LOG_LEVEL"), &level);
    log_start(host->part->name, host_instance(host), level);
    host->partitions = (int32_t)setting_integer("TRADEWIND_PARTITIONS");
    host->records = mem_alloc(UNIT_RECORDS_MAX * sizeof *host->records);
    catch_signals(host);
    kind = start_leaving_in_time(host, &err);
    if (kind == ERR_OK)
        kind = start_all(host, &err);
    if (kind == ERR_OK) {
        atomic_store(&host->flowing, true);
        LOG_INFO("started", "the part runs",
                 log_str("http", setting_text("TRADEWIND_<PART>_HTTP")));
        kind = worker_run(host, &err);
    }
    if (kind == ERR_STOP || kind == ERR_REJECT) {
        LOG_ERROR("stopped", "this instance cannot go on and ends", log_err(&err));
        atomic_store(&host->exit_code, 1);
    }
    ask_to_leave(host);
    stop_all(host);
    LOG_INFO("left", "the part has ended");
    return atomic_load(&host->exit_code);
}

int part_main(const struct part *part, int argc, char **argv)
{
    struct host host = {.part = part};
    struct err err;

    if (argc > 1) {
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
            print_help(part);
            return 0;
        }
        fprintf(stderr, "tradewind-%s: %s: it takes no arguments; see --help\n", part->name,
                argv[1]);
        return 2;
    }
    if (sodium_init() < 0 ||
        settings_load(part->name, part->settings, part->setting_count, &err) != ERR_OK) {
        fprintf(stderr, "tradewind-%s: %s\n", part->name, err.text);
        return 2;
    }
    snprintf(host.source, sizeof host.source, part->ledger != NULL ? "%s/%s" : "%s", part->name,
             part->ledger != NULL ? part->ledger : "");
    snprintf(host.ops_source, sizeof host.ops_source, "ops/%s", part->name);
    inbox_init(&host.inbox);
    pthread_mutex_init(&host.query_lock, NULL);
    pthread_cond_init(&host.query_ready, NULL);
    host.queries_last = &host.queries;
    host.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sem_init(&host.asked_to_leave, 0, 0);
    return run(&host);
}
