/* One thread turns curl's multi handle; send and free reach it through a queue and curl's own
 * wake-up. Connections are kept and reused by the multi handle, easy handles by us. */
#include "runtime/http_client.h"

#include "runtime/curl_once.h"

#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#define RESPONSE_MAX_BYTES (8u * 1024u * 1024u)
#define CONNECT_TIMEOUT_MS 5000L
/* Shorter than our own server keeps an idle connection (60 s), so that it is not us who finds out.
 */
#define CONNECTION_MAX_IDLE_S 50L
#define POLL_MS 10000
#define BUFFER_BYTES 4096L /* of each call under way; answers are short */

/* A call and its answer. Those that wait may be many, so they are small: a curl handle is only with
 * the ones that run. */
struct transfer {
    char *method, *url;
    struct curl_slist *headers;
    struct view body; /* ours */
    int64_t timeout_ms;
    void (*header)(void *context, struct view name, struct view value);
    void (*done)(void *context, int status, struct view response, const struct err *err);
    void *context;

    CURL *easy; /* while it runs */
    struct buf response;
    bool too_large;
    char why[CURL_ERROR_SIZE];
    struct transfer *next;   /* of those that wait, or that run */
    struct transfer *before; /* of those that run */
};

struct http_client {
    pthread_t thread;
    CURLM *multi;
    int parallel;

    /* The client's thread only. */
    struct transfer *running;
    int running_count;
    CURL **idle; /* handles between two calls, up to parallel */
    int idle_count;

    pthread_mutex_t lock;
    struct transfer *waiting, **waiting_end;
    bool stop_wanted;
};

/* --- One transfer ---------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;

    if (size * count > RESPONSE_MAX_BYTES - transfer->response.size) {
        transfer->too_large = true;
        return 0;
    }
    buf_append(&transfer->response, data, size * count);
    return size * count;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const char *colon = memchr(data, ':', size * count);
    struct view name, value;

    if (transfer->header == NULL || colon == NULL)
        return size * count;
    name = view_of(data, (size_t)(colon - data));
    value = view_of(colon + 1, size * count - name.size - 1);
    while (value.size > 0 && is_blank(value.data[0]))
        value = view_of(value.data + 1, value.size - 1);
    while (value.size > 0 && is_blank(value.data[value.size - 1]))
        value.size--;
    transfer->header(transfer->context, name, value);
    return size * count;
}

static void add_header(struct transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);

    if (longer == NULL)
        abort();
    transfer->headers = longer;
}

static void copy_headers(struct transfer *transfer, const char *const *lines)
{
    bool typed = false;

    for (; lines != NULL && *lines != NULL; lines++) {
        typed = typed || strncasecmp(*lines, "Content-Type:", 13) == 0;
        add_header(transfer, *lines);
    }
    if (!typed && transfer->body.size > 0)
        add_header(transfer, "Content-Type: application/json");
    add_header(transfer, "Expect:"); /* a body is sent without asking first */
}

static struct transfer *transfer_new(const struct http_call *call)
{
    struct transfer *transfer = mem_alloc(sizeof *transfer);

    transfer->method = mem_strdup(call->method);
    transfer->url = mem_strdup(call->url);
    transfer->body = view_of(mem_strdup_view(call->body), call->body.size);
    transfer->timeout_ms = call->timeout_ms;
    transfer->header = call->header;
    transfer->done = call->done;
    transfer->context = call->context;
    copy_headers(transfer, call->headers);
    return transfer;
}

static void transfer_free(struct transfer *transfer)
{
    free(transfer->method);
    free(transfer->url);
    free((char *)transfer->body.data);
    curl_slist_free_all(transfer->headers);
    buf_clear(&transfer->response);
    free(transfer);
}

static void set_method(CURL *easy, const struct transfer *transfer)
{
    if (strcmp(transfer->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (transfer->body.size > 0 || strcmp(transfer->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body.data);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body.size);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, transfer->method);
}

static void prepare(struct transfer *transfer, CURL *easy)
{
    transfer->easy = easy;
    curl_easy_reset(easy); /* connections stay */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* settings are TRADEWIND_* and nothing else */
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)transfer->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_MAX_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->why);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (strncasecmp(transfer->url, "https:", 6) == 0)
        curl_trust(easy);
    set_method(easy, transfer);
}

/* The status, or 0 and err. */
static int outcome(const struct transfer *transfer, CURLcode code, struct err *err)
{
    bool hopeless = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    long status = 0;

    if (code == CURLE_OK)
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    else if (transfer->too_large)
        err_set(err, ERR_RETRY, "%s %s: more than %u bytes of answer", transfer->method,
                transfer->url, RESPONSE_MAX_BYTES);
    else
        err_set(err, hopeless ? ERR_REJECT : ERR_RETRY, "%s %s: %s%s", transfer->method,
                transfer->url, transfer->why[0] != '\0' ? transfer->why : curl_easy_strerror(code),
                curl_trust_hint(code));
    return (int)status;
}

static CURL *new_easy(void)
{
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        abort();
    return easy;
}

/* --- The client's thread --------------------------------------------------------------------- */

static void start(struct http_client *client, struct transfer *transfer)
{
    prepare(transfer, client->idle_count > 0 ? client->idle[--client->idle_count] : new_easy());
    curl_multi_add_handle(client->multi, transfer->easy);
    transfer->before = NULL;
    transfer->next = client->running;
    if (client->running != NULL)
        client->running->before = transfer;
    client->running = transfer;
    client->running_count++;
}

static void stop(struct http_client *client, struct transfer *transfer)
{
    curl_multi_remove_handle(client->multi, transfer->easy);
    client->idle[client->idle_count++] = transfer->easy;
    if (transfer->next != NULL)
        transfer->next->before = transfer->before;
    if (transfer->before != NULL)
        transfer->before->next = transfer->next;
    else
        client->running = transfer->next;
    client->running_count--;
}

static void finish(struct http_client *client, CURL *easy, CURLcode code)
{
    struct transfer *transfer = NULL;
    struct err err = {0};
    int status;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    status = outcome(transfer, code, &err);
    stop(client, transfer);
    transfer->done(transfer->context, status,
                   status != 0 ? buf_view(&transfer->response) : VIEW_NONE,
                   status != 0 ? NULL : &err);
    transfer_free(transfer);
}

/* False when the client is to end. */
static bool start_waiting(struct http_client *client)
{
    bool go_on;

    pthread_mutex_lock(&client->lock);
    while (client->waiting != NULL && client->running_count < client->parallel) {
        struct transfer *transfer = client->waiting;

        client->waiting = transfer->next;
        if (client->waiting == NULL)
            client->waiting_end = &client->waiting;
        start(client, transfer);
    }
    go_on = !client->stop_wanted;
    pthread_mutex_unlock(&client->lock);
    return go_on;
}

static void *run(void *context)
{
    struct http_client *client = context;

    while (start_waiting(client)) {
        CURLMsg *message;
        int left;

        curl_multi_poll(client->multi, NULL, 0, POLL_MS, NULL); /* not at all after a start */
        curl_multi_perform(client->multi, &left);
        while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
            if (message->msg == CURLMSG_DONE)
                finish(client, message->easy_handle, message->data.result);
    }
    while (client->running != NULL) {
        struct transfer *transfer = client->running;

        stop(client, transfer);
        transfer_free(transfer);
    }
    return NULL;
}

/* --- For the others -------------------------------------------------------------------------- */

static void client_release(struct http_client *client)
{
    while (client->waiting != NULL) {
        struct transfer *transfer = client->waiting;

        client->waiting = transfer->next;
        transfer_free(transfer);
    }
    for (int i = 0; i < client->idle_count; i++)
        curl_easy_cleanup(client->idle[i]);
    free(client->idle);
    if (client->multi != NULL)
        curl_multi_cleanup(client->multi);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

enum err_kind http_client_new(struct http_client **out, int parallel, struct err *err)
{
    struct http_client *client = mem_alloc(sizeof *client);
    int failure;

    curl_once();
    pthread_mutex_init(&client->lock, NULL);
    client->parallel = parallel;
    client->waiting_end = &client->waiting;
    client->idle = mem_alloc((size_t)parallel * sizeof(CURL *));
    client->multi = curl_multi_init();
    if (client->multi == NULL) {
        client_release(client);
        return err_set(err, ERR_STOP, "http client: curl gives no multi handle");
    }
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)parallel);
    failure = pthread_create(&client->thread, NULL, run, client);
    if (failure != 0) {
        client_release(client);
        return err_set(err, ERR_STOP, "http client: no thread: %s", strerror(failure));
    }
    *out = client;
    return ERR_OK;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    pthread_mutex_lock(&client->lock);
    client->stop_wanted = true;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
    pthread_join(client->thread, NULL);
    client_release(client);
}

void http_client_send(struct http_client *client, const struct http_call *call)
{
    struct transfer *transfer = transfer_new(call);
    bool was_empty;

    pthread_mutex_lock(&client->lock);
    was_empty = client->waiting == NULL;
    *client->waiting_end = transfer;
    client->waiting_end = &transfer->next;
    pthread_mutex_unlock(&client->lock);
    if (was_empty)
        curl_multi_wakeup(client->multi);
}

/* --- One call, waited for -------------------------------------------------------------------- */

static pthread_key_t kept_key;

static void free_kept(void *easy)
{
    curl_easy_cleanup(easy);
}

static void make_kept_key(void)
{
    pthread_key_create(&kept_key, free_kept);
}

/* Each thread keeps a handle, and with it the connection. */
static CURL *kept_easy(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CURL *easy;

    pthread_once(&once, make_kept_key);
    easy = pthread_getspecific(kept_key);
    if (easy == NULL) {
        easy = new_easy();
        pthread_setspecific(kept_key, easy);
    }
    return easy;
}

enum err_kind http_client_get(const struct http_call *call, int *status, struct buf *response,
                              struct err *err)
{
    struct transfer *transfer;
    struct err failure = {0};
    int got;

    curl_once();
    transfer = transfer_new(call);
    prepare(transfer, kept_easy());
    got = outcome(transfer, curl_easy_perform(transfer->easy), &failure);
    if (got != 0) {
        *status = got;
        buf_append_view(response, buf_view(&transfer->response));
    } else if (err != NULL) {
        *err = failure;
    }
    transfer_free(transfer);
    return failure.kind;
}
