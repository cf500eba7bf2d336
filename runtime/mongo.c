#include "runtime/mongo.h"

#include "runtime/bytes.h"

#include <mongoc/mongoc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_DUPLICATE_KEY 11000
#define CODE_NAMESPACE_NOT_FOUND 26
#define CODE_OBJECT_TOO_LARGE 10334

struct mongo {
    mongoc_uri_t *uri;
    char *application;
    const char *database;    /* view into uri */
    mongoc_client_t *client; /* NULL: to be made at the next call */
};

/* When it is loaded, libmongoc makes a shared memory file of counters named after the process and
 * takes it away at exit. A killed process leaves its file, and the next one that gets the same id
 * complains on stderr: so the name goes at once, before main, and the counters stay usable. */
__attribute__((constructor)) static void forget_counters(void)
{
    char name[32];

    snprintf(name, sizeof name, "/mongoc-%u", (unsigned)getpid());
    shm_unlink(name);
}

static void start_library(void)
{
    /* Its own log lines say nothing that the errors we report do not. */
    mongoc_log_set_handler(NULL, NULL);
    mongoc_init();
}

enum err_kind mongo_open(struct mongo **out, const char *uri, const char *application,
                         struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    AUTO(mongo_close) struct mongo *mongo = mem_alloc(sizeof *mongo);
    bson_error_t error;

    pthread_once(&once, start_library);
    mongo->application = mem_strdup(application);
    mongo->uri = mongoc_uri_new_with_error(uri, &error);
    if (mongo->uri == NULL)
        return err_set(err, ERR_STOP, "mongodb: the URI cannot be read: %s", error.message);
    mongo->database = mongoc_uri_get_database(mongo->uri);
    if (mongo->database == NULL || *mongo->database == '\0')
        return err_set(err, ERR_STOP,
                       "mongodb: the URI names no database, want mongodb://host:port/database");
    mongoc_uri_set_option_as_bool(mongo->uri, MONGOC_URI_RETRYWRITES, false);
    mongoc_uri_set_option_as_bool(mongo->uri, MONGOC_URI_RETRYREADS, false);
    mongoc_uri_set_option_as_int32(mongo->uri, MONGOC_URI_CONNECTTIMEOUTMS, MONGO_CONNECT_MS);
    mongoc_uri_set_option_as_int32(mongo->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                   MONGO_CONNECT_MS);
    mongoc_uri_set_option_as_int32(mongo->uri, MONGOC_URI_SOCKETTIMEOUTMS, MONGO_ANSWER_MS);
    *out = mongo_close_keep(&mongo);
    return ERR_OK;
}

void mongo_answer_within(struct mongo *mongo, int answer_ms)
{
    mongoc_uri_set_option_as_int32(mongo->uri, MONGOC_URI_SOCKETTIMEOUTMS, answer_ms);
    mongoc_uri_set_option_as_int32(mongo->uri, MONGOC_URI_CONNECTTIMEOUTMS, answer_ms);
}

static void hang_up(struct mongo *mongo)
{
    if (mongo->client != NULL)
        mongoc_client_destroy(mongo->client);
    mongo->client = NULL;
}

void mongo_close(struct mongo *mongo)
{
    if (mongo == NULL)
        return;
    hang_up(mongo);
    if (mongo->uri != NULL)
        mongoc_uri_destroy(mongo->uri);
    free(mongo->application);
    free(mongo);
}

static enum err_kind connect_client(struct mongo *mongo, struct err *err)
{
    mongoc_write_concern_t *concern;

    if (mongo->client != NULL)
        return ERR_OK;
    mongo->client = mongoc_client_new_from_uri(mongo->uri);
    if (mongo->client == NULL)
        return err_set(err, ERR_STOP, "mongodb: the library makes no client of this URI");
    mongoc_client_set_appname(mongo->client, mongo->application);
    mongoc_client_set_error_api(mongo->client, MONGOC_ERROR_API_VERSION_2);
    concern = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(concern, MONGO_ANSWER_MS);
    mongoc_write_concern_set_journal(concern, true);
    mongoc_client_set_write_concern(mongo->client, concern);
    mongoc_write_concern_destroy(concern);
    return ERR_OK;
}

/* The server answered with an error, or nobody did. A client that failed to reach its server would
 * not try again for five seconds, and one that timed out has an answer pending: both are replaced.
 */
static enum err_kind failed(struct mongo *mongo, const char *what, const char *collection,
                            const bson_error_t *error, struct err *err)
{
    if (error->domain != MONGOC_ERROR_SERVER)
        hang_up(mongo);
    return err_set(err, ERR_RETRY, "mongodb: %s %s: %s", what, collection, error->message);
}

enum err_kind mongo_insert(struct mongo *mongo, const char *collection, const bson_t *document,
                           bool *duplicate, struct err *err)
{
    mongoc_collection_t *target;
    bson_t options = BSON_INITIALIZER;
    bson_error_t error;
    bool stored;
    enum err_kind kind = connect_client(mongo, err);

    if (duplicate != NULL)
        *duplicate = false;
    if (kind != ERR_OK)
        return kind;
    /* The documents are ours: the library need not look for dots and dollars in their names. */
    BSON_APPEND_BOOL(&options, "validate", false);
    target = mongoc_client_get_collection(mongo->client, mongo->database, collection);
    stored = mongoc_collection_insert_one(target, document, &options, NULL, &error);
    mongoc_collection_destroy(target);
    bson_destroy(&options);
    if (stored)
        return ERR_OK;
    if (error.code == CODE_DUPLICATE_KEY) {
        if (duplicate != NULL)
            *duplicate = true;
        return err_set(err, ERR_REJECT, "mongodb: insert into %s: %s", collection, error.message);
    }
    if (error.code == CODE_OBJECT_TOO_LARGE || error.domain == MONGOC_ERROR_BSON)
        return err_set(err, ERR_REJECT, "mongodb: insert into %s: %s", collection, error.message);
    return failed(mongo, "insert into", collection, &error, err);
}

enum err_kind mongo_find(struct mongo *mongo, const char *collection, const char *id, bson_t **out,
                         struct err *err)
{
    mongoc_collection_t *source;
    mongoc_cursor_t *cursor;
    bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER;
    const bson_t *document;
    bson_t *found = NULL;
    bson_error_t error;
    bool broken;
    enum err_kind kind = connect_client(mongo, err);

    if (kind != ERR_OK)
        return kind;
    BSON_APPEND_UTF8(&filter, "_id", id);
    BSON_APPEND_INT64(&options, "limit", 1);
    BSON_APPEND_BOOL(&options, "singleBatch", true);
    source = mongoc_client_get_collection(mongo->client, mongo->database, collection);
    cursor = mongoc_collection_find_with_opts(source, &filter, &options, NULL);
    if (mongoc_cursor_next(cursor, &document))
        found = bson_copy(document);
    broken = mongoc_cursor_error(cursor, &error);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(source);
    bson_destroy(&filter);
    bson_destroy(&options);
    if (broken) {
        bson_destroy(found);
        return failed(mongo, "find in", collection, &error, err);
    }
    *out = found;
    return ERR_OK;
}

enum err_kind mongo_read(struct mongo *mongo, const char *collection, int per_reply,
                         enum err_kind (*each)(void *context, const bson_t *document,
                                               struct err *err),
                         void *context, struct err *err)
{
    mongoc_collection_t *source;
    mongoc_cursor_t *cursor;
    bson_t all = BSON_INITIALIZER, options = BSON_INITIALIZER;
    const bson_t *document;
    bson_error_t error;
    bool broken;
    enum err_kind kind = connect_client(mongo, err);

    if (kind != ERR_OK)
        return kind;
    BSON_APPEND_INT32(&options, "batchSize", per_reply);
    source = mongoc_client_get_collection(mongo->client, mongo->database, collection);
    cursor = mongoc_collection_find_with_opts(source, &all, &options, NULL);
    while (kind == ERR_OK && mongoc_cursor_next(cursor, &document))
        kind = each(context, document, err);
    broken = mongoc_cursor_error(cursor, &error);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(source);
    bson_destroy(&all);
    bson_destroy(&options);
    if (kind == ERR_OK && broken)
        kind = failed(mongo, "read", collection, &error, err);
    return kind;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err_kind mongo_collections(struct mongo *mongo, const char *prefix, char ***out, size_t *count,
                                struct err *err)
{
    mongoc_database_t *database;
    bson_t options = BSON_INITIALIZER;
    bson_error_t error;
    char **all;
    size_t kept = 0;
    enum err_kind kind = connect_client(mongo, err);

    if (kind != ERR_OK)
        return kind;
    BSON_APPEND_BOOL(&options, "nameOnly", true);
    database = mongoc_client_get_database(mongo->client, mongo->database);
    all = mongoc_database_get_collection_names_with_opts(database, &options, &error);
    mongoc_database_destroy(database);
    bson_destroy(&options);
    if (all == NULL)
        return failed(mongo, "list collections", prefix, &error, err);
    for (size_t i = 0; all[i] != NULL; i++) {
        if (strncmp(all[i], prefix, strlen(prefix)) == 0)
            all[kept++] = all[i];
        else
            bson_free(all[i]);
    }
    all[kept] = NULL;
    qsort(all, kept, sizeof *all, compare_names);
    *out = all;
    *count = kept;
    return ERR_OK;
}

void mongo_names_free(char **names)
{
    bson_strfreev(names);
}

enum err_kind mongo_drop(struct mongo *mongo, const char *collection, struct err *err)
{
    mongoc_collection_t *target;
    bson_error_t error;
    bool dropped;
    enum err_kind kind = connect_client(mongo, err);

    if (kind != ERR_OK)
        return kind;
    target = mongoc_client_get_collection(mongo->client, mongo->database, collection);
    dropped = mongoc_collection_drop_with_opts(target, NULL, &error);
    mongoc_collection_destroy(target);
    if (!dropped && error.code != CODE_NAMESPACE_NOT_FOUND)
        return failed(mongo, "drop", collection, &error, err);
    return ERR_OK;
}

enum err_kind mongo_ping(struct mongo *mongo, struct err *err)
{
    bson_t ping = BSON_INITIALIZER;
    bson_error_t error;
    bool answered;
    enum err_kind kind = connect_client(mongo, err);

    if (kind != ERR_OK)
        return kind;
    BSON_APPEND_INT32(&ping, "ping", 1);
    answered =
        mongoc_client_command_simple(mongo->client, mongo->database, &ping, NULL, NULL, &error);
    bson_destroy(&ping);
    return answered ? ERR_OK : failed(mongo, "ping", mongo->database, &error, err);
}
