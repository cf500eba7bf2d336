/* What the targets share. A target is one file: it takes the fuzzer's bytes to one reader of ours
 * and looks at the answer. libFuzzer brings main; the sanitizers see what a look cannot. */
#ifndef TRADEWIND_TESTS_FUZZ_FUZZ_H
#define TRADEWIND_TESTS_FUZZ_FUZZ_H

#include "events/ids.h"
#include "runtime/bytes.h"
#include "runtime/err.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Ends the run unless it holds; the text of an error that is at hand helps. */
#define HOLDS(condition, text)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s (%s)\n", __FILE__, __LINE__, #condition,     \
                    (text));                                                                       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** Whoever refuses says why. To be called with an err whose text was empty before. */
static inline void fuzz_refused(enum err_kind kind, const struct err *err)
{
    HOLDS(kind == ERR_REJECT || kind == ERR_STOP, err->text);
    HOLDS(err->kind == kind && err->text[0] != '\0', "no reason");
}

/** The bytes up to the next NUL; *rest begins behind it. */
static inline struct view fuzz_until_nul(struct view *rest)
{
    const char *nul = rest->size > 0 ? memchr(rest->data, 0, rest->size) : NULL;
    struct view piece = nul != NULL ? view_of(rest->data, (size_t)(nul - rest->data)) : *rest;
    size_t taken = piece.size + (nul != NULL);

    *rest = view_of(rest->data + taken, rest->size - taken);
    return piece;
}

/** The schemas of the checkout, for targets that read or write events. */
static inline struct schema_ids *fuzz_schema_ids(void)
{
    static struct schema_ids *ids;
    const char *folder = getenv("TRADEWIND_SCHEMAS");
    struct err err;

    if (ids == NULL)
        HOLDS(schema_ids_open(&ids, folder != NULL ? folder : "schemas", NULL, &err) == ERR_OK,
              err.text);
    return ids;
}

/** A new folder of this process alone, for readers that take a file. */
static inline const char *fuzz_folder(void)
{
    static char folder[200];
    const char *parent = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/fuzz.XXXXXX", parent != NULL ? parent : "/tmp");
    HOLDS(mkdtemp(folder) != NULL, folder);
    return folder;
}

#endif
