#include "runtime/log.h"

#include "runtime/clock.h"
#include "runtime/json.h"

#include <errno.h>
#include <unistd.h>

/* Written by log_start before there are threads, read by all of them afterwards. */
static struct {
    char service[64];
    char instance[64];
    enum log_level level;
} bound = {.service = "tradewind", .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

static void bind_text(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);

    memcpy(to, from, length);
    to[length] = '\0';
}

void log_start(const char *service, const char *instance, enum log_level level)
{
    bind_text(bound.service, sizeof bound.service, service);
    bind_text(bound.instance, sizeof bound.instance, instance);
    bound.level = level;
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (enum log_level level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++)
        if (strcmp(name, level_names[level]) == 0) {
            *out = level;
            return true;
        }
    return false;
}

static void put_timestamp(struct json_writer *writer)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(clock_utc_us(), text);
    memcpy(text + 23, "Z", 2); /* milliseconds are enough for a person */
    json_member_str(writer, "ts", text);
}

/* One write for the whole line, so that lines of several threads do not mix. A log that cannot be
 * written is no reason to stop selling. */
static void write_line(const struct buf *line)
{
    size_t done = 0;

    while (done < line->size) {
        ssize_t written = write(STDERR_FILENO, line->data + done, line->size - done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        done += (size_t)written;
    }
}

void log_line(enum log_level level, const char *what, const char *msg,
              const struct log_field *fields, size_t field_count)
{
    AUTO(buf_clear) struct buf line = {0};
    struct json_writer writer = {.out = &line};

    if (level < bound.level)
        return;
    json_object_start(&writer);
    put_timestamp(&writer);
    json_member_str(&writer, "level", level_names[level]);
    json_member_str(&writer, "service", bound.service);
    if (bound.instance[0] != '\0')
        json_member_str(&writer, "instance", bound.instance);
    json_member_str(&writer, "what", what);
    json_member_str(&writer, "msg", msg);
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].text.data != NULL)
            json_member_text(&writer, fields[i].name, fields[i].text);
        else
            json_member_int64(&writer, fields[i].name, fields[i].number);
    }
    json_object_end(&writer);
    buf_append_byte(&line, '\n');
    write_line(&line);
}
