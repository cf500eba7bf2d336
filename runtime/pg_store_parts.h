/* Inside the store on PostgreSQL: what its files share. Elsewhere runtime/pg_store.h is enough.
 *
 *     pg_store.c         the commit, and all that the worker does
 *     pg_journal.c       the relay's side: reading the journal, noting what is published, upkeep
 *     pg_dead_letters.c  dead letters as they are read, copied and looked for */
#ifndef TRADEWIND_RUNTIME_PG_STORE_PARTS_H
#define TRADEWIND_RUNTIME_PG_STORE_PARTS_H

#include "runtime/pg_store.h"

struct pg_store {
    char *conninfo;
    char *application;
    int32_t partitions;
    int64_t journal_s;
    struct pg *worker;
    struct pg *relay;
    struct pg *probe;
    struct pg_column topics, numbers, offsets, high_waters, shards, keys, headers, values, times,
        reasons, errors, attempts, flags;
};

/** The session in *slot, opened again when it was lost. */
enum err_kind pg_store_session(struct pg_store *store, struct pg **slot, struct err *err);
enum err_kind pg_store_relay_session(struct pg_store *store, struct err *err);

/* --- pg_journal.c: functions of struct store -------------------------------------------------- */

enum err_kind pg_journal_last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                      struct err *err);
enum err_kind pg_journal_published(void *self, uint64_t *numbers, int32_t partitions,
                                   struct err *err);
enum err_kind pg_journal_raise_last_number(void *self, int32_t shard, uint64_t number,
                                           struct err *err);
enum err_kind pg_journal_read(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                              void (*each)(void *context, const struct journal_record *record),
                              void *context, struct err *err);
enum err_kind pg_journal_note_published(void *self, const uint64_t *numbers, const int64_t *offsets,
                                        int32_t partitions, struct err *err);
enum err_kind pg_journal_maintain(void *self, journal_prove_fn *prove, void *context,
                                  struct err *err);

/* --- pg_dead_letters.c: functions of struct store --------------------------------------------- */

enum err_kind pg_dead_letters_copy(void *self,
                                   bool (*each)(void *context, const struct dead_letter *dead),
                                   void *context, struct err *err);
enum err_kind pg_dead_letters_load(void *self, int64_t id, struct dead_letter **out, size_t *count,
                                   struct arena *arena, struct err *err);
enum err_kind pg_dead_letters_list(void *self, int64_t after, int32_t limit,
                                   void (*each)(void *context, const struct dead_letter *dead),
                                   void *context, struct err *err);
enum err_kind pg_dead_letters_find(void *self, int64_t id, const struct dead_letter **out,
                                   struct arena *arena, struct err *err);
enum err_kind pg_dead_letters_undecided(void *self, const int32_t *partitions,
                                        size_t partition_count, size_t max,
                                        struct dead_letter **out, size_t *count,
                                        struct arena *arena, struct err *err);

#endif
