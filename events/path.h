/* Where in a value something is wrong, "lines[3].quantity": put together from the inside out while
 * the functions that found it return, so that it costs nothing as long as all is well. */
#ifndef TRADEWIND_EVENTS_PATH_H
#define TRADEWIND_EVENTS_PATH_H

#include "runtime/bytes.h"

struct path {
    size_t length;
    char text[200]; /* at its end, with a NUL; what does not fit is left out in front */
};

void path_in_field(struct path *path, struct view name);
void path_in_item(struct path *path, size_t index);
/** "lines[3].quantity"; empty at the top. */
const char *path_text(const struct path *path);

#endif
