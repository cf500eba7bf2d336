#include "events/registry.h"

#include "runtime/http_client.h"
#include "runtime/json.h"

#define TIMEOUT_MS 3000

static const char *const headers[] = {
    "Accept: application/vnd.schemaregistry.v1+json, application/json",
    "Content-Type: application/vnd.schemaregistry.v1+json",
    NULL,
};

/* One call; *answer is its JSON in arena, also when the registry refuses. */
static enum err_kind call(int *status, struct json **answer, const char *method, const char *url,
                          struct view body, struct arena *arena, struct err *err)
{
    const struct http_call request = {
        .method = method, .url = url, .headers = headers, .body = body, .timeout_ms = TIMEOUT_MS};
    AUTO(buf_clear) struct buf response = {0};
    struct err why;

    if (http_client_get(&request, status, &response, &why) != ERR_OK)
        return err_set(err, ERR_RETRY, "schema registry: %s", why.text);
    if (*status == 429 || *status >= 500)
        return err_set(err, ERR_RETRY, "schema registry: %s answers %d", url, *status);
    if (json_parse(answer, arena_view(arena, buf_view(&response)), arena, &why) != ERR_OK)
        return err_set(err, ERR_RETRY, "schema registry: %s answers %d and %s", url, *status,
                       why.text);
    return ERR_OK;
}

static struct view text_member(const struct json *json, const char *name)
{
    const struct json *member = json_member(json, name);

    return member != NULL && member->kind == JSON_STRING ? member->text : VIEW_NONE;
}

enum err_kind registry_register(int32_t *id, const char *url, struct view subject, struct view text,
                                struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer writer = {.out = &body};
    const char *path =
        arena_printf(&arena, "%s/subjects/%.*s/versions", url, VIEW_PRINT(subject)).data;
    const struct json *number;
    struct json *answer;
    enum err_kind kind;
    int64_t value;
    int status;

    json_object_start(&writer);
    json_member_text(&writer, "schema", text);
    json_object_end(&writer);
    kind = call(&status, &answer, "POST", path, buf_view(&body), &arena, err);
    if (kind != ERR_OK)
        return kind;
    if (status != 200)
        return err_set(err, ERR_REJECT, "schema registry: %.*s: refused with %d: %.*s",
                       VIEW_PRINT(subject), status, VIEW_PRINT(text_member(answer, "message")));
    number = json_member(answer, "id");
    if (number == NULL || !json_to_int64(number, &value) || value < 0 || value > INT32_MAX)
        return err_set(err, ERR_REJECT, "schema registry: %.*s: an answer without an id",
                       VIEW_PRINT(subject));
    *id = (int32_t)value;
    return ERR_OK;
}

enum err_kind registry_fetch(struct view *text, const char *url, int32_t id, struct arena *arena,
                             struct err *err)
{
    AUTO(arena_clear) struct arena scratch = {0};
    const char *path = arena_printf(&scratch, "%s/schemas/ids/%d", url, id).data;
    struct json *answer;
    struct view type, schema;
    enum err_kind kind;
    int status;

    kind = call(&status, &answer, "GET", path, VIEW_LITERAL(""), &scratch, err);
    if (kind != ERR_OK)
        return kind;
    if (status != 200)
        return err_set(err, ERR_RETRY, "schema registry: id %d: answers %d: %.*s", id, status,
                       VIEW_PRINT(text_member(answer, "message")));
    type = text_member(answer, "schemaType"); /* left out for Avro */
    schema = text_member(answer, "schema");
    if ((type.data != NULL && !view_equals(type, "AVRO")) || schema.data == NULL)
        return err_set(err, ERR_REJECT, "schema registry: id %d is no Avro schema", id);
    *text = arena_view(arena, schema);
    return ERR_OK;
}
