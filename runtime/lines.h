/* Texts of lines: fields separated by tabs, each line ended by a newline. For much data of one
 * shape in a store that pays for every field of its own. The writer sees to it that no field has a
 * tab or a newline in it. */
#ifndef TRADEWIND_RUNTIME_LINES_H
#define TRADEWIND_RUNTIME_LINES_H

#include "runtime/bytes.h"

/* Writing: one or more fields, then line_end. */
void line_text(struct buf *lines, struct view text);
void line_int64(struct buf *lines, int64_t value);
void line_end(struct buf *lines);

/* Reading: what is taken is a view, and gone from the front of the rest. */

/** Lines in the text; what is behind the last newline is none. */
size_t lines_count(struct view lines);
/** The next line without its newline; false: there is none. Then lines is empty, or the text was
 * cut. */
bool lines_next(struct view *lines, struct view *line);
/** Fields left in the line. */
size_t line_count(struct view line);
/** The next field; an empty one at the line's end. */
struct view line_next_text(struct view *line);
/** The next field as a number; false: it is none. */
bool line_next_int64(struct view *line, int64_t *out);

#endif
