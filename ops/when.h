/* A moment as an operator writes it: a time, or how long ago. */
#ifndef TRADEWIND_OPS_WHEN_H
#define TRADEWIND_OPS_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/** "90s", "15m", "2h", "7d": whole numbers, above 0. False: it is none. */
bool when_parse_duration(const char *text, int64_t *us);

/** ISO 8601 as Kafka's tools take it: "P1DT2H30M", "PT90.5S"; above 0. False: it is none. */
bool when_parse_iso_duration(const char *text, int64_t *us);

/** ISO 8601 as Kafka's tools take it: "2026-01-31T12:00:00.000"; UTC when it names no zone. */
bool when_parse_iso_time(const char *text, int64_t *utc_us);

/** RFC 3339 ("2026-01-31T12:00:00Z"), or a duration: so long before now_us. False: it is neither.
 */
bool when_parse(const char *text, int64_t now_us, int64_t *utc_us);

#endif
