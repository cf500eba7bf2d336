/* Counting faults: the k-th request for memory fails, for every k on an order's way (order_path.c)
 * and on a request's (http_path.c),
 * ours and those of the libraries. Three ends are good: the process ends and says that there was no
 * memory; it says "try again" or "this process cannot go on"; or it comes out with the same events
 * and the same mail. A crash is none, and neither is to call the input bad: that would refuse an
 * order, or make a dead letter, for want of memory. TAP: a result a way. */
#include "runtime/token.h"
#include "tests/faults/fail.h"
#include "tests/faults/order_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_BYTES 600

/* What one walk in a process of its own came to; shared with it. */
struct outcome {
    enum err_kind kind;
    uint64_t digest;
    char text[sizeof((struct err *)0)->text];
};

/* What is walked, apart in a process for each call that fails. */
struct way {
    const char *name;
    enum err_kind (*walk)(uint64_t *digest, const struct road *road, size_t lines, struct err *err);
    size_t lines;
};

static const struct way WAYS[] = {
    {"an order of 1 line", order_path_walk, 1},
    {"an order of 2 lines", order_path_walk, 2},
    {"an order of 40 lines", order_path_walk, 40},
    {"a request over HTTP", http_path_walk, 0},
};
#define WAY_COUNT (sizeof WAYS / sizeof WAYS[0])

static struct outcome *outcome;
static char folder[] = "/tmp/order-path.XXXXXX";
static char key_path[64], jwks_path[64], contact_path[64];

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(2);
}

static void remove_keys(void)
{
    unlink(key_path);
    unlink(jwks_path);
    unlink(contact_path);
    rmdir(folder);
}

static void build_road(struct road *road)
{
    const struct token_claims claims = {"c-1", "customer", 1000060};
    char *token = NULL;
    struct err err;

    if (mkdtemp(folder) == NULL)
        exit(2);
    snprintf(key_path, sizeof key_path, "%s/key.json", folder);
    snprintf(jwks_path, sizeof jwks_path, "%s/jwks.json", folder);
    snprintf(contact_path, sizeof contact_path, "%s/contact.key", folder);
    if (token_make_key(key_path, jwks_path, &err) != ERR_OK ||
        token_sign(&token, key_path, &claims, 1000000, &err) != ERR_OK ||
        contact_key_make(contact_path, &err) != ERR_OK ||
        contact_key_load(&road->contact_key, contact_path, &err) != ERR_OK ||
        schema_ids_open(&road->ids, SCHEMAS, NULL, &err) != ERR_OK)
        die("set-up", &err);
    road->jwks_path = jwks_path;
    road->token = view_str(token);
}

static void walk(const struct road *road, const struct way *way)
{
    struct err err = {0};

    fail_plan()->kind = FAIL_MALLOC;
    outcome->kind = way->walk(&outcome->digest, road, way->lines, &err);
    fail_plan()->kind = FAIL_NONE;
    memcpy(outcome->text, err.text, sizeof err.text);
    _exit(0);
}

/* Gives wait's status; what it said on stderr comes into said. */
static int walk_apart(const struct road *road, const struct way *way, uint64_t k,
                      char said[SAID_BYTES])
{
    int ends[2], status = 0;
    ssize_t got;
    pid_t child;

    memset(outcome, 0, sizeof *outcome);
    memset(fail_plan(), 0, sizeof *fail_plan());
    fail_plan()->at = k;
    if (pipe(ends) != 0 || (child = fork()) < 0)
        exit(2);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        walk(road, way);
    }
    close(ends[1]);
    got = read(ends[0], said, SAID_BYTES - 1);
    said[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    fail_plan()->kind = FAIL_NONE; /* when it ended early */
    return status;
}

/* NULL: the end is good. */
static const char *wrong(int status, const char *said, uint64_t digest)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGABRT && strncmp(said, "out of memory", 13) == 0
                   ? NULL
                   : "it crashed";
    if (WEXITSTATUS(status) != 0)
        return "it left without a word";
    if (outcome->kind == ERR_OK)
        return outcome->digest == digest ? NULL : "something else came out";
    return outcome->kind == ERR_REJECT ? "it called the input bad" : NULL;
}

static bool fail_each(const struct road *road, const struct way *way)
{
    char said[SAID_BYTES];
    int status = walk_apart(road, way, 0, said);
    uint64_t calls = fail_plan()->seen, digest = outcome->digest, bad = 0, went_on = 0, ended = 0;

    if (status != 0 || outcome->kind != ERR_OK) {
        printf("# without a fault: %s%s\n", outcome->text, said);
        return false;
    }
    for (uint64_t k = 1; k <= calls; k++) {
        const char *what;

        status = walk_apart(road, way, k, said);
        ended += WIFSIGNALED(status);
        went_on += !WIFSIGNALED(status) && outcome->kind == ERR_OK;
        what = wrong(status, said, digest);
        if (what == NULL)
            continue;
        bad++;
        printf("# call %llu of %llu: %s: %s%s (signal %d, %s+0x%llx)\n", (unsigned long long)k,
               (unsigned long long)calls, what, outcome->text, said,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0, fail_plan()->object,
               (unsigned long long)fail_plan()->where);
    }
    printf("# %llu calls: %llu ended the process, %llu were said to be tried again, %llu went on\n",
           (unsigned long long)calls, (unsigned long long)ended,
           (unsigned long long)(calls - ended - went_on), (unsigned long long)went_on);
    return bad == 0 && calls > 0;
}

int main(void)
{
    const struct rlimit no_core = {0};
    struct road road = {0};
    bool all = true;

    outcome =
        mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcome == MAP_FAILED)
        return 2;
    setrlimit(RLIMIT_CORE, &no_core);
    setvbuf(stdout, NULL, _IOLBF, 0);
    build_road(&road);
    atexit(remove_keys);
    printf("1..%zu\n", WAY_COUNT);
    for (size_t i = 0; i < WAY_COUNT; i++) {
        bool good = fail_each(&road, &WAYS[i]);

        all = all && good;
        printf("%s %zu - %s\n", good ? "ok" : "not ok", i + 1, WAYS[i].name);
    }
    return all ? 0 : 1;
}
