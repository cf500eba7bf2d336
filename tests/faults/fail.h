/* Fails the k-th call of a kind, in the process that this is linked into or preloaded into: see
 * fail.c. */
#ifndef TRADEWIND_TESTS_FAULTS_FAIL_H
#define TRADEWIND_TESTS_FAULTS_FAIL_H

#include <stdatomic.h>
#include <stdint.h>

/* In the order of fail_plan.py. */
enum fail_kind {
    FAIL_NONE,
    FAIL_MALLOC,     /* whoever asks for memory: libraries too */
    FAIL_MALLOC_OWN, /* the program itself, not a library on its behalf */
    FAIL_WRITE,      /* to a socket, a file, stdout or stderr */
    FAIL_FSYNC,
    FAIL_CONNECT,
};

/* What a process shares with its test. */
struct fail_plan {
    _Atomic uint64_t kind; /* of the calls that are counted */
    _Atomic uint64_t at;   /* which of them fails; 0: none */
    _Atomic uint64_t seen;
    _Atomic uint64_t struck;
    _Atomic uint64_t where; /* the caller: its place in object */
    char object[256];
};

/** The plan of this process, shared with its children: the file that FAIL_PLAN named when it
 * started, else one of its own. */
struct fail_plan *fail_plan(void);

#endif
