#include "ops/part_client.h"

#include "ops/actor.h"
#include "runtime/clock.h"
#include "runtime/http_client.h"
#include "runtime/settings.h"
#include "runtime/token.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define ANSWER_MS 2000
#define PARALLEL 32
/* Through the door: what an operator does may take its time. */
#define ASK_MS 30000
#define ASK_TRIES 5

/* What the calls of one part_call_all share with the client's thread. */
struct round {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t open;
    struct arena *arena; /* under lock */
};

struct waiting {
    struct round *round;
    struct part_call *call;
};

/* The client's thread. */
static void on_done(void *context, int status, struct view response, const struct err *err)
{
    struct waiting *waiting = context;
    struct round *round = waiting->round;

    pthread_mutex_lock(&round->lock);
    waiting->call->status = status;
    waiting->call->answer = arena_view(round->arena, status != 0 ? response : view_str(err->text));
    round->open--;
    pthread_cond_signal(&round->wake);
    pthread_mutex_unlock(&round->lock);
}

const char *part_address(const char *part)
{
    const char *address = setting_of_part(part, "HTTP");

    return address != NULL && address[0] != '\0' ? address : NULL;
}

static void send_call(struct http_client *client, struct waiting *waiting, struct arena *arena)
{
    const struct part_call *part_call = waiting->call;
    const char *headers[3] = {0};
    size_t header_count = 0;
    struct http_call call = {
        .headers = headers,
        .timeout_ms = part_call->timeout_ms > 0 ? part_call->timeout_ms : ANSWER_MS,
        .body = part_call->body,
        .done = on_done,
        .context = waiting,
    };

    if (part_call->token != NULL)
        headers[header_count++] =
            arena_printf(arena, "Authorization: Bearer %s", part_call->token).data;
    if (part_call->body.data != NULL)
        headers[header_count++] = "Content-Type: application/json";
    call.method = part_call->method != NULL ? part_call->method : "GET";
    if (part_call->through_door)
        call.url = arena_printf(arena, "%s/parts/%s%s", setting_text("TRADEWIND_DOOR"),
                                part_call->part, part_call->path)
                       .data;
    else
        call.url =
            arena_printf(arena, "http://%s%s", part_address(part_call->part), part_call->path).data;
    http_client_send(client, &call);
}

enum err_kind part_call_all(struct part_call *calls, size_t count, struct arena *arena,
                            struct err *err)
{
    AUTO(arena_clear) struct arena own = {0};
    struct round round = {.arena = arena};
    struct waiting *waiting = arena_array(&own, count + 1, sizeof *waiting);
    struct http_client *client;
    enum err_kind kind = http_client_new(&client, PARALLEL, err);

    if (kind != ERR_OK)
        return kind;
    pthread_mutex_init(&round.lock, NULL);
    pthread_cond_init(&round.wake, NULL);
    pthread_mutex_lock(&round.lock);
    for (size_t i = 0; i < count; i++) {
        calls[i].status = 0;
        calls[i].answer = VIEW_NONE;
        waiting[i] = (struct waiting){&round, &calls[i]};
        if (!calls[i].through_door && part_address(calls[i].part) == NULL)
            continue;
        round.open++;
        send_call(client, &waiting[i], &own);
    }
    while (round.open > 0)
        pthread_cond_wait(&round.wake, &round.lock);
    pthread_mutex_unlock(&round.lock);
    http_client_free(client);
    pthread_cond_destroy(&round.wake);
    pthread_mutex_destroy(&round.lock);
    return ERR_OK;
}

const char *part_text(const struct json *object, const char *name, struct arena *arena)
{
    const struct json *member = json_member(object, name);

    if (member == NULL || member->kind == JSON_NULL)
        return "-";
    return arena_view(arena, member->text).data;
}

void part_add_parameter(struct buf *path, const char *name, const char *value)
{
    buf_printf(path, "%c%s=", memchr(path->data, '?', path->size) == NULL ? '?' : '&', name);
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++)
        buf_printf(path, "%%%02X", *c);
}

static bool is_busy(const struct part_call *call)
{
    return call->status == 503 || call->status == 429;
}

/* The problem document that a part or the door answered with. */
static enum err_kind refused(const struct part_call *call, struct arena *arena, struct err *err)
{
    struct json *problem;
    const char *detail = "";

    if (json_parse(&problem, call->answer, arena, NULL) == ERR_OK)
        detail = part_text(problem, "detail", arena);
    return err_set(err, is_busy(call) ? ERR_RETRY : ERR_REJECT, "%s: %s (HTTP %d)", call->part,
                   detail, call->status);
}

static enum err_kind read_answer(const struct json **out, const struct part_call *call,
                                 struct arena *arena, struct err *err)
{
    struct json *root;

    if (call->status == 0)
        return err_set(err, ERR_RETRY, "%s does not answer through the door: %s", call->part,
                       call->answer.data);
    if (call->status / 100 != 2)
        return refused(call, arena, err);
    if (json_parse_deep(&root, call->answer, arena, NULL) != ERR_OK)
        return err_set(err, ERR_REJECT, "%s answers something else than JSON", call->part);
    *out = root;
    return ERR_OK;
}

enum err_kind part_ask_soon(const struct json **out, struct part_call *call, struct arena *arena,
                            struct err *err)
{
    enum err_kind kind = ERR_OK;

    call->through_door = true;
    /* The door asks one instance after the other: of some parts only one can answer. */
    for (int i = 0; i < ASK_TRIES && kind == ERR_OK && (i == 0 || is_busy(call)); i++)
        kind = part_call_all(call, 1, arena, err);
    return kind == ERR_OK ? read_answer(out, call, arena, err) : kind;
}

enum err_kind part_ask(const struct json **out, struct part_call *call, struct arena *arena,
                       struct err *err)
{
    const struct timespec second = {.tv_sec = 1};

    call->through_door = true;
    call->timeout_ms = ASK_MS;
    for (int i = 1;; i++) {
        enum err_kind kind = part_call_all(call, 1, arena, err);

        if (kind != ERR_OK)
            return kind;
        if (!is_busy(call) || i == ASK_TRIES)
            break;
        nanosleep(&second, NULL);
    }
    return read_answer(out, call, arena, err);
}

enum err_kind part_token(char **out, const char *role, struct err *err)
{
    const char *key = setting_text("TRADEWIND_SIGNING_KEY");
    int64_t now_s = clock_utc_us() / 1000000;
    struct token_claims claims = {.expires_at_s = now_s + 300};

    if (key[0] == '\0')
        return err_set(err, ERR_STOP,
                       "TRADEWIND_SIGNING_KEY is not set: the private key to sign with");
    snprintf(claims.role, sizeof claims.role, "%s", role);
    snprintf(claims.subject, sizeof claims.subject, "%s", ops_actor());
    return token_sign(out, key, &claims, now_s, err);
}
