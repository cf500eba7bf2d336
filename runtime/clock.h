/* Two clocks: UTC for what people and other programs read, monotonic for what must pass. */
#ifndef TRADEWIND_RUNTIME_CLOCK_H
#define TRADEWIND_RUNTIME_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_utc_us(void);       /* microseconds since 1970-01-01T00:00:00Z */
int64_t clock_monotonic_ms(void); /* never goes back; of this machine's boot only */
int64_t clock_monotonic_us(void);

/** RFC 3339 in UTC with microseconds: 2010-12-01T08:26:00.000000Z (28 bytes with the NUL). A time
 * outside the years 0000 to 9999 has no such form and is written as 1970-01-01. */
#define CLOCK_RFC3339_SIZE 28
#define CLOCK_RFC3339_MIN_US (-62167219200000000)
#define CLOCK_RFC3339_MAX_US 253402300799999999
void clock_format_rfc3339(int64_t utc_us, char out[CLOCK_RFC3339_SIZE]);
/** RFC 3339 with any offset and up to 9 digits of fraction; 0 when well-formed, else -1. */
int clock_parse_rfc3339(const char *text, size_t size, int64_t *utc_us);

#endif
