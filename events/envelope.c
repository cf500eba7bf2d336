#include "events/envelope.h"

#include "runtime/clock.h"

#include <inttypes.h>

#define SOURCE_PREFIX "/tradewind/"
#define SOURCE_BYTES_MAX 64
#define SUBJECT_BYTES_MAX 1024
#define SEQUENCE_DIGITS 20

/* The headers we know, in the order we write them. */
enum known {
    CONTENT_TYPE,
    SPEC_VERSION,
    ID,
    TYPE,
    SOURCE,
    TIME,
    SUBJECT,
    SEQUENCE,
    CAUSATION_ID,
    CORRELATION_ID,
    TRACEPARENT,
    KNOWN_COUNT,
};

static const struct {
    struct view name;
    bool optional;
} known[KNOWN_COUNT] = {
    [CONTENT_TYPE] = {VIEW_INIT("content-type"), false},
    [SPEC_VERSION] = {VIEW_INIT("ce_specversion"), false},
    [ID] = {VIEW_INIT("ce_id"), false},
    [TYPE] = {VIEW_INIT("ce_type"), false},
    [SOURCE] = {VIEW_INIT("ce_source"), false},
    [TIME] = {VIEW_INIT("ce_time"), false},
    [SUBJECT] = {VIEW_INIT("ce_subject"), false},
    [SEQUENCE] = {VIEW_INIT("ce_sequence"), false},
    [CAUSATION_ID] = {VIEW_INIT("ce_causationid"), true},
    [CORRELATION_ID] = {VIEW_INIT("ce_correlationid"), false},
    [TRACEPARENT] = {VIEW_INIT("traceparent"), true},
};

/* --- The values' grammar --------------------------------------------------------------------- */

/* A source: names of lower-case letters, digits and -_. between slashes. */
static bool is_source(struct view text)
{
    bool start = true;

    if (text.size > SOURCE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';

        if (!letter && (c != '/' || start))
            return false;
        start = c == '/';
    }
    return !start;
}

/* Text for people and other programs: UTF-8 without control characters. */
static bool is_text(struct view text, size_t max)
{
    if (text.size == 0 || text.size > max || !view_is_utf8(text))
        return false;
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    return true;
}

/* 00-<32 hex>-<16 hex>-<2 hex>, neither id all zeros. Source: W3C Trace Context. */
static bool is_traceparent(struct view text)
{
    static const char shape[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

    if (text.size != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

        if (shape[i] == 'x' ? !hex : c != shape[i])
            return false;
    }
    return memcmp(text.data + 3, "00000000000000000000000000000000", 32) != 0 &&
           memcmp(text.data + 36, "0000000000000000", 16) != 0;
}

/* A decimal number without leading zeros at the end of text, behind a slash, which it takes off. */
static bool take_number(struct view *text, uint64_t max, uint64_t *out)
{
    const char *slash = text->size > 0 ? memrchr(text->data, '/', text->size) : NULL;
    struct view digits;
    int64_t value;

    if (slash == NULL)
        return false;
    digits = view_of(slash + 1, text->size - (size_t)(slash + 1 - text->data));
    if (digits.size == 0 || (digits.data[0] == '0' && digits.size > 1) || digits.data[0] == '-' ||
        !view_to_int64(digits, &value) || (uint64_t)value > max)
        return false;
    *out = (uint64_t)value;
    *text = view_of(text->data, (size_t)(slash - text->data));
    return true;
}

bool event_ref_read(struct event_ref *out, struct view id)
{
    struct view source = id;
    uint64_t number, shard;

    if (!take_number(&source, INT64_MAX, &number) || number == 0 ||
        !take_number(&source, INT32_MAX, &shard) || !is_source(source))
        return false;
    *out = (struct event_ref){source, (int32_t)shard, number};
    return true;
}

static bool read_id(struct envelope *envelope, struct view id)
{
    struct event_ref ref;

    if (!event_ref_read(&ref, id))
        return false;
    envelope->id = id;
    envelope->source = ref.source;
    envelope->shard = ref.shard;
    envelope->number = ref.number;
    return true;
}

/* The piece before the first slash: who may write. */
static bool is_written_by(struct view source, const char *part)
{
    size_t size = strlen(part);

    return source.size >= size && memcmp(source.data, part, size) == 0 &&
           (source.size == size || source.data[size] == '/');
}

enum topic event_ref_topic(const struct event_ref *ref)
{
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++)
        if (is_written_by(ref->source, topic_writer(topic)))
            return topic;
    return TOPIC_NONE;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* The decimal digits of value, with leading zeros up to `least` of them. */
static size_t write_number(char *out, uint64_t value, unsigned least)
{
    char digits[SEQUENCE_DIGITS];
    unsigned count = 0;

    for (; value > 0 || count < least; value /= 10)
        digits[count++] = (char)('0' + value % 10);
    for (unsigned i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

size_t envelope_id(char out[ENVELOPE_ID_SIZE], struct view source, int32_t shard, uint64_t number)
{
    size_t size = source.size < SOURCE_BYTES_MAX ? source.size : SOURCE_BYTES_MAX;

    memcpy(out, source.data, size);
    out[size++] = '/';
    size += write_number(out + size, (uint64_t)shard, 1);
    out[size++] = '/';
    size += write_number(out + size, number, 1);
    out[size] = '\0';
    return size;
}

static enum err_kind check(const struct envelope *envelope, struct view correlation,
                           struct err *err)
{
    if (envelope->type == EVENT_NONE || envelope->type >= EVENT_COUNT)
        return err_set(err, ERR_REJECT, "envelope: type %d is no event", (int)envelope->type);
    if (!is_source(envelope->source) ||
        !is_written_by(envelope->source, topic_writer(event_topic(envelope->type))))
        return err_set(err, ERR_REJECT, "envelope: source %.*s, want %s, who writes %s",
                       VIEW_PRINT(envelope->source), topic_writer(event_topic(envelope->type)),
                       event_type_name(envelope->type));
    if (envelope->shard < 0 || envelope->number == 0 || envelope->number > INT64_MAX)
        return err_set(err, ERR_REJECT,
                       "envelope: shard %" PRId32 ", number %" PRIu64 ": want 0 and 1 or more",
                       envelope->shard, envelope->number);
    if (envelope->time_us < CLOCK_RFC3339_MIN_US || envelope->time_us > CLOCK_RFC3339_MAX_US)
        return err_set(err, ERR_REJECT, "envelope: time %" PRId64 " us, want one of 4 digit years",
                       envelope->time_us);
    if (!is_text(envelope->subject, SUBJECT_BYTES_MAX))
        return err_set(err, ERR_REJECT, "envelope: subject is no text of 1 to %d bytes",
                       SUBJECT_BYTES_MAX);
    if (!is_text(correlation, SUBJECT_BYTES_MAX))
        return err_set(err, ERR_REJECT, "envelope: correlation id is no text of 1 to %d bytes",
                       SUBJECT_BYTES_MAX);
    if (envelope->causation_id.data != NULL && !is_text(envelope->causation_id, SUBJECT_BYTES_MAX))
        return err_set(err, ERR_REJECT, "envelope: causation id is no text of 1 to %d bytes",
                       SUBJECT_BYTES_MAX);
    if (envelope->traceparent.data != NULL && !is_traceparent(envelope->traceparent))
        return err_set(err, ERR_REJECT, "envelope: \"%.*s\" is no traceparent",
                       VIEW_PRINT(envelope->traceparent));
    return ERR_OK;
}

enum err_kind envelope_write(struct buf *block, const struct envelope *envelope, struct err *err)
{
    struct view correlation =
        envelope->correlation_id.data != NULL ? envelope->correlation_id : envelope->subject;
    char id[ENVELOPE_ID_SIZE], source[sizeof SOURCE_PREFIX + SOURCE_BYTES_MAX] = SOURCE_PREFIX;
    char time[CLOCK_RFC3339_SIZE], sequence[SEQUENCE_DIGITS];
    size_t id_size, source_size = sizeof SOURCE_PREFIX - 1;

    if (check(envelope, correlation, err) != ERR_OK)
        return ERR_REJECT;
    id_size = envelope_id(id, envelope->source, envelope->shard, envelope->number);
    memcpy(source + source_size, envelope->source.data, envelope->source.size);
    source_size += envelope->source.size;
    write_number(sequence, envelope->number, SEQUENCE_DIGITS);
    clock_format_rfc3339(envelope->time_us, time);

    headers_start(block);
    headers_append(block, known[CONTENT_TYPE].name.data, VIEW_LITERAL(ENVELOPE_CONTENT_TYPE));
    headers_append(block, known[SPEC_VERSION].name.data, VIEW_LITERAL("1.0"));
    headers_append(block, known[ID].name.data, view_of(id, id_size));
    headers_append(block, known[TYPE].name.data, view_str(event_type_name(envelope->type)));
    headers_append(block, known[SOURCE].name.data, view_of(source, source_size));
    headers_append(block, known[TIME].name.data, view_of(time, sizeof time - 1));
    headers_append(block, known[SUBJECT].name.data, envelope->subject);
    headers_append(block, known[SEQUENCE].name.data, view_of(sequence, sizeof sequence));
    if (envelope->causation_id.data != NULL)
        headers_append(block, known[CAUSATION_ID].name.data, envelope->causation_id);
    headers_append(block, known[CORRELATION_ID].name.data, correlation);
    if (envelope->traceparent.data != NULL)
        headers_append(block, known[TRACEPARENT].name.data, envelope->traceparent);
    return ERR_OK;
}

/* --- Reading --------------------------------------------------------------------------------- */

static enum err_kind refuse(struct err *err, enum known which, struct view value, const char *want)
{
    return err_set(err, ERR_REJECT, "header %s: \"%.*s\", want %s", known[which].name.data,
                   (int)(value.size < 100 ? value.size : 100), value.data != NULL ? value.data : "",
                   want);
}

/* Which of the headers it is; KNOWN_COUNT: none. Our own come in the order of `known`, so the one
 * that is expected is looked at first. */
static enum known find_known(struct view name, enum known expected)
{
    if (expected < KNOWN_COUNT && view_equal(name, known[expected].name))
        return expected;
    for (enum known i = 0; i < KNOWN_COUNT; i++)
        if (view_equal(name, known[i].name))
            return i;
    return KNOWN_COUNT;
}

/* Each known header once into values, by its place in `known`. */
static enum err_kind collect(struct view values[KNOWN_COUNT],
                             bool (*next)(void *context, struct header *header), void *context,
                             struct err *err)
{
    enum known expected = 0;
    struct header header;

    while (next(context, &header)) {
        enum known which = find_known(header.name, expected);

        if (which == KNOWN_COUNT)
            continue;
        if (values[which].data != NULL)
            return err_set(err, ERR_REJECT, "header %s: there twice", known[which].name.data);
        if (header.value.data == NULL)
            return err_set(err, ERR_REJECT, "header %s: null, want a value",
                           known[which].name.data);
        values[which] = header.value;
        expected = which + 1;
    }
    for (enum known i = 0; i < KNOWN_COUNT; i++)
        if (values[i].data == NULL && !known[i].optional)
            return err_set(err, ERR_REJECT, "header %s: missing", known[i].name.data);
    return ERR_OK;
}

static bool is_sequence(struct view text, uint64_t number)
{
    char want[SEQUENCE_DIGITS];

    return view_equal(text, view_of(want, write_number(want, number, SEQUENCE_DIGITS)));
}

static bool is_source_of(struct view text, struct view source)
{
    size_t prefix = sizeof SOURCE_PREFIX - 1;

    return text.size > prefix && memcmp(text.data, SOURCE_PREFIX, prefix) == 0 &&
           view_equal(view_of(text.data + prefix, text.size - prefix), source);
}

enum err_kind envelope_read(struct envelope *out, enum topic topic,
                            bool (*next)(void *context, struct header *header), void *context,
                            struct err *err)
{
    struct view values[KNOWN_COUNT] = {0};
    struct envelope envelope = {0};

    if (collect(values, next, context, err) != ERR_OK)
        return ERR_REJECT;
    if (!view_equals(values[CONTENT_TYPE], ENVELOPE_CONTENT_TYPE))
        return refuse(err, CONTENT_TYPE, values[CONTENT_TYPE], ENVELOPE_CONTENT_TYPE);
    if (!view_equals(values[SPEC_VERSION], "1.0"))
        return refuse(err, SPEC_VERSION, values[SPEC_VERSION], "1.0");
    if (!read_id(&envelope, values[ID]))
        return refuse(err, ID, values[ID], "source/shard/number");
    envelope.type = event_type_from_name(values[TYPE].data, values[TYPE].size);
    if (envelope.type == EVENT_NONE || event_topic(envelope.type) != topic)
        return refuse(err, TYPE, values[TYPE], "an event of this topic");
    if (!is_source_of(values[SOURCE], envelope.source))
        return refuse(err, SOURCE, values[SOURCE], "/tradewind/ and the source in ce_id");
    if (!is_written_by(envelope.source, topic_writer(topic)))
        return refuse(err, SOURCE, values[SOURCE], topic_writer(topic));
    if (clock_parse_rfc3339(values[TIME].data, values[TIME].size, &envelope.time_us) != 0)
        return refuse(err, TIME, values[TIME], "RFC 3339");
    if (!is_sequence(values[SEQUENCE], envelope.number))
        return refuse(err, SEQUENCE, values[SEQUENCE], "the number in ce_id in 20 digits");
    if (!is_text(values[SUBJECT], SUBJECT_BYTES_MAX))
        return refuse(err, SUBJECT, VIEW_NONE, "text of 1 to 1024 bytes");
    if (!is_text(values[CORRELATION_ID], SUBJECT_BYTES_MAX))
        return refuse(err, CORRELATION_ID, VIEW_NONE, "text of 1 to 1024 bytes");
    if (values[CAUSATION_ID].data != NULL && !is_text(values[CAUSATION_ID], SUBJECT_BYTES_MAX))
        return refuse(err, CAUSATION_ID, VIEW_NONE, "text of 1 to 1024 bytes");
    if (values[TRACEPARENT].data != NULL && !is_traceparent(values[TRACEPARENT]))
        return refuse(err, TRACEPARENT, values[TRACEPARENT], "a W3C traceparent");
    envelope.subject = values[SUBJECT];
    envelope.correlation_id = values[CORRELATION_ID];
    envelope.causation_id = values[CAUSATION_ID];
    envelope.traceparent = values[TRACEPARENT];
    *out = envelope;
    return ERR_OK;
}

static bool next_in_block(void *context, struct header *header)
{
    return headers_next(context, header);
}

enum err_kind envelope_read_block(struct envelope *out, enum topic topic, struct view block,
                                  struct err *err)
{
    struct headers headers;

    if (headers_read(&headers, block, err) != ERR_OK)
        return ERR_REJECT;
    return envelope_read(out, topic, next_in_block, &headers, err);
}
