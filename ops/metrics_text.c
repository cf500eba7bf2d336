#include "ops/metrics_text.h"

#include <math.h>
#include <stdlib.h>

static bool read_sample(struct metric_sample *out, struct view line)
{
    const char *space = line.size > 0 ? memrchr(line.data, ' ', line.size) : NULL;
    const char *brace = line.size > 0 ? memchr(line.data, '{', line.size) : NULL;
    struct view name;
    char number[40];
    size_t size;

    if (space == NULL || line.data[0] == '#')
        return false;
    size = line.size - (size_t)(space + 1 - line.data);
    if (size == 0 || size >= sizeof number)
        return false;
    memcpy(number, space + 1, size);
    number[size] = '\0';
    name = view_of(line.data, (size_t)((brace != NULL ? brace : space) - line.data));
    *out = (struct metric_sample){
        .name = name, .labels = view_of(space, 0), .value = strtod(number, NULL)};
    if (brace != NULL && space > brace + 1 && space[-1] == '}')
        out->labels = view_of(brace + 1, (size_t)(space - 1 - (brace + 1)));
    return true;
}

struct metric_samples metrics_read(struct view text, struct arena *arena)
{
    struct metric_samples out = {0};
    size_t lines = 1;

    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    out.samples = arena_array(arena, lines, sizeof *out.samples);
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;

        out.count += read_sample(&out.samples[out.count], view_of(text.data, size));
        size += end != NULL;
        text = view_of(text.data + size, text.size - size);
    }
    return out;
}

double metrics_sum(const struct metric_samples *samples, const char *name)
{
    double sum = 0;

    for (size_t i = 0; i < samples->count; i++)
        if (view_equals(samples->samples[i].name, name))
            sum += samples->samples[i].value;
    return sum;
}

bool metrics_has(const struct metric_samples *samples, const char *name)
{
    for (size_t i = 0; i < samples->count; i++)
        if (view_equals(samples->samples[i].name, name))
            return true;
    return false;
}

struct view metrics_label(const struct metric_sample *sample, const char *label)
{
    size_t length = strlen(label);
    struct view rest = sample->labels;

    while (rest.size > length + 2) {
        const char *quote = memchr(rest.data, '"', rest.size);
        const char *end = quote != NULL
                              ? memchr(quote + 1, '"', rest.size - (size_t)(quote + 1 - rest.data))
                              : NULL;
        size_t used;

        if (end == NULL)
            return VIEW_NONE;
        if ((size_t)(quote - rest.data) == length + 1 && memcmp(rest.data, label, length) == 0)
            return view_of(quote + 1, (size_t)(end - quote - 1));
        used = (size_t)(end + 1 - rest.data);
        used += used < rest.size && rest.data[used] == ',';
        rest = view_of(rest.data + used, rest.size - used);
    }
    return VIEW_NONE;
}

/* --- Histograms ----------------------------------------------------------------------------------
 */

static void add_bucket(struct metrics_histogram *histogram, double bound_s, double count)
{
    size_t at = 0;

    while (at < histogram->count && histogram->bounds_s[at] < bound_s)
        at++;
    if (at == histogram->count || histogram->bounds_s[at] > bound_s) {
        if (histogram->count == METRICS_BUCKETS_MAX)
            return;
        for (size_t i = histogram->count; i > at; i--) {
            histogram->bounds_s[i] = histogram->bounds_s[i - 1];
            histogram->counts[i] = histogram->counts[i - 1];
        }
        histogram->count++;
        histogram->bounds_s[at] = bound_s;
        histogram->counts[at] = 0;
    }
    histogram->counts[at] += count;
}

struct metrics_histogram metrics_histogram(const struct metric_samples *samples, const char *name)
{
    struct metrics_histogram out = {0};
    size_t size = strlen(name);

    for (size_t i = 0; i < samples->count; i++) {
        const struct metric_sample *sample = &samples->samples[i];
        struct view le;
        char bound[40];

        if (sample->name.size != size + 7 || memcmp(sample->name.data, name, size) != 0 ||
            memcmp(sample->name.data + size, "_bucket", 7) != 0)
            continue;
        le = metrics_label(sample, "le");
        if (le.size == 0 || le.size >= sizeof bound)
            continue;
        memcpy(bound, le.data, le.size);
        bound[le.size] = '\0';
        add_bucket(&out, strcmp(bound, "+Inf") == 0 ? INFINITY : strtod(bound, NULL),
                   sample->value);
    }
    return out;
}

struct metrics_histogram metrics_histogram_since(const struct metrics_histogram *now,
                                                 const struct metrics_histogram *before)
{
    struct metrics_histogram out = *now;

    if (before->count != now->count)
        return out;
    for (size_t i = 0; i < now->count; i++)
        if (now->counts[i] < before->counts[i])
            return out;
    for (size_t i = 0; i < now->count; i++)
        out.counts[i] -= before->counts[i];
    return out;
}

int64_t metrics_quantile_us(const struct metrics_histogram *histogram, double q)
{
    double total = histogram->count > 0 ? histogram->counts[histogram->count - 1] : 0,
           wanted = q * total;
    double low_s = 0, low = 0;

    if (total <= 0)
        return -1;
    for (size_t i = 0; i < histogram->count; i++) {
        double high_s = histogram->bounds_s[i], high = histogram->counts[i];

        if (high >= wanted && high > low)
            return isinf(high_s)
                       ? (int64_t)(low_s * 1e6)
                       : (int64_t)((low_s + (high_s - low_s) * (wanted - low) / (high - low)) *
                                   1e6);
        low_s = high_s;
        low = high;
    }
    return (int64_t)(low_s * 1e6);
}
