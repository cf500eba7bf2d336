/* A library for LD_PRELOAD, or part of a test's own program.
 *
 * Which call fails, and how many there were, stands in a file that the process shares with the test
 * (its name is in FAIL_PLAN; tests/faults/fail_plan.py has the other end): so a part that runs can be
 * told to fail its next k-th call without being started anew.
 *
 * A call fails as it does when the world is in trouble: no memory; a connection reset, and then it
 * is dead in both directions; a full disk; a disk that lost what it had taken; nobody who listens.
 */
#include "tests/faults/fail.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct fail_plan until_started, *plan = &until_started;
static uintptr_t program_from, program_to;
static _Thread_local bool is_inside; /* what we call ourselves is not counted */

struct fail_plan *fail_plan(void)
{
    return plan;
}

/* The program itself is the first object. */
static int note_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            program_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            program_to = program_from + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

__attribute__((constructor)) static void open_plan(void)
{
    const char *path = getenv("FAIL_PLAN");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    int how = file >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
    void *shared = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, how, file, 0);

    dl_iterate_phdr(note_program, NULL);
    if (shared != MAP_FAILED)
        plan = shared;
    if (file >= 0)
        close(file);
}

static void note_caller(const void *caller)
{
    Dl_info about;

    is_inside = true;
    plan->where = (uint64_t)(uintptr_t)caller;
    if (dladdr(caller, &about) != 0) {
        plan->where -= (uint64_t)(uintptr_t)about.dli_fbase;
        strncpy(plan->object, about.dli_fname, sizeof plan->object - 1);
    }
    plan->struck++;
    is_inside = false;
}

static bool strikes(enum fail_kind kind, const void *caller)
{
    if (is_inside || plan->kind != kind || ++plan->seen != plan->at)
        return false;
    note_caller(caller);
    return true;
}

static bool is_own(const void *caller)
{
    return (uintptr_t)caller >= program_from && (uintptr_t)caller < program_to;
}

static bool memory_fails(const void *caller)
{
    if (!strikes(FAIL_MALLOC, caller) && !(is_own(caller) && strikes(FAIL_MALLOC_OWN, caller)))
        return false;
    errno = ENOMEM;
    return true;
}

/* The next of a name behind this library. */
#define NEXT(name)                                                                                 \
    __extension__({                                                                                \
        static void *_Atomic next;                                                                 \
        if (next == NULL)                                                                          \
            next = dlsym(RTLD_NEXT, #name);                                                        \
        (__typeof__(&name))next;                                                                   \
    })

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    return memory_fails(CALLER) ? NULL : NEXT(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
    return memory_fails(CALLER) ? NULL : NEXT(calloc)(count, size);
}

void *realloc(void *old, size_t size)
{
    return memory_fails(CALLER) ? NULL : NEXT(realloc)(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t whole;

    if (__builtin_mul_overflow(count, size, &whole) || memory_fails(CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return NEXT(realloc)(old, whole);
}

/* Pipes and event descriptors wake threads of the process itself: no world fails those. What a
 * program prints does go somewhere. */
static bool write_fails(int file, const void *caller)
{
    int before = errno;
    struct stat about;
    bool fails;

    if (plan->kind != FAIL_WRITE || fstat(file, &about) != 0)
        return false;
    fails = (file == STDOUT_FILENO || file == STDERR_FILENO || S_ISREG(about.st_mode) ||
             S_ISSOCK(about.st_mode)) &&
            strikes(FAIL_WRITE, caller);
    if (fails && S_ISSOCK(about.st_mode))
        shutdown(file, SHUT_RDWR);
    errno = !fails ? before : S_ISSOCK(about.st_mode) ? ECONNRESET : ENOSPC;
    return fails;
}

ssize_t write(int file, const void *data, size_t size)
{
    return write_fails(file, CALLER) ? -1 : NEXT(write)(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    return write_fails(file, CALLER) ? -1 : NEXT(pwrite)(file, data, size, at);
}

ssize_t writev(int file, const struct iovec *pieces, int count)
{
    return write_fails(file, CALLER) ? -1 : NEXT(writev)(file, pieces, count);
}

ssize_t send(int file, const void *data, size_t size, int flags)
{
    return write_fails(file, CALLER) ? -1 : NEXT(send)(file, data, size, flags);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags)
{
    return write_fails(file, CALLER) ? -1 : NEXT(sendmsg)(file, message, flags);
}

static bool sync_fails(const void *caller)
{
    if (!strikes(FAIL_FSYNC, caller))
        return false;
    errno = EIO;
    return true;
}

int fsync(int file)
{
    return sync_fails(CALLER) ? -1 : NEXT(fsync)(file);
}

int fdatasync(int file)
{
    return sync_fails(CALLER) ? -1 : NEXT(fdatasync)(file);
}

int connect(int file, __CONST_SOCKADDR_ARG address, socklen_t size)
{
    if (strikes(FAIL_CONNECT, CALLER)) {
        errno = ECONNREFUSED;
        return -1;
    }
    return NEXT(connect)(file, address, size);
}
