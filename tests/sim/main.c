/* Runs schedules: tests/sim/run --help. */
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 400, JOBS_MAX = 64 };

static const char usage[] =
    "usage: sim [OPTION]...\n"
    "\n"
    "Tries schedules of the whole system: every part's real decisions and the real rules of "
    "delivery,\n"
    "with a broker, stores and a provider that fail as the seed wants. One schedule a seed.\n"
    "\n"
    "  --schedules N   how many, with the seeds S, S+1, ... (default 100000)\n"
    "  --seed S        the first seed (default 1)\n"
    "  --jobs J        processes at a time (default: as many as there are cores)\n"
    "  --replay SEED   run this seed alone, shrink it when it fails, and tell what happens in it\n"
    "  --quiet         only the seed and the problem of a failure\n";

struct options {
    uint64_t schedules, seed, replay;
    int jobs;
    bool quiet;
};

struct plan {
    uint64_t seed;
    int count;
    struct step steps[STEPS_MAX];
};

struct totals {
    uint64_t schedules, steps;
};

/* --- One schedule --------------------------------------------------------------------------- */

static void make_and_run(struct world *world, struct plan *plan, uint64_t seed)
{
    uint64_t chance = seed * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du;
    int length;

    world_begin(world, seed);
    pick(&chance, 2);
    length = 30 + (int)pick(&chance, 170);
    plan->seed = seed;
    plan->count = 0;
    while (plan->count < length && world->problem[0] == '\0') {
        plan->steps[plan->count] = world_choose(world, &chance);
        world_step(world, &plan->steps[plan->count++]);
    }
    if (world->problem[0] == '\0')
        world_calm(world);
}

static bool fails(struct world *world, const struct plan *plan)
{
    world_begin(world, plan->seed);
    for (int i = 0; i < plan->count && world->problem[0] == '\0'; i++)
        world_step(world, &plan->steps[i]);
    if (world->problem[0] == '\0')
        world_calm(world);
    return world->problem[0] != '\0';
}

/* Leave out ever smaller pieces while it fails without them. */
static void shrink(struct world *world, struct plan *plan)
{
    static struct plan smaller;

    for (int piece = plan->count / 2; piece >= 1;) {
        bool shorter = false;

        for (int at = 0; at + piece <= plan->count;) {
            smaller = *plan;
            memmove(&smaller.steps[at], &smaller.steps[at + piece],
                    (size_t)(smaller.count - at - piece) * sizeof smaller.steps[0]);
            smaller.count -= piece;
            if (fails(world, &smaller)) {
                *plan = smaller;
                shorter = true;
            } else {
                at += piece;
            }
        }
        if (!shorter || piece > plan->count)
            piece /= 2;
    }
}

static void tell(struct world *world, struct plan *plan, bool quiet)
{
    int before = plan->count;

    if (quiet) {
        printf("seed %" PRIu64 " fails: %s\n", plan->seed, world->problem);
        return;
    }
    shrink(world, plan);
    printf("seed %" PRIu64 " fails; %d of its %d steps are enough:\n\n", plan->seed, plan->count,
           before);
    world->tracing = true;
    fails(world, plan);
    world->tracing = false;
    printf("\n%s\n\nrun it again: tests/sim/run --replay %" PRIu64 "\n", world->problem,
           plan->seed);
}

/* --- Many ----------------------------------------------------------------------------------- */

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);

    if (world == NULL)
        abort();
    world_tables();
    return world;
}

/* Every jobs-th seed; stops at the first that fails. */
static bool run_share(const struct options *options, int job, struct totals *totals)
{
    struct world *world = world_new();
    static struct plan plan;
    bool good = true;

    for (uint64_t i = (uint64_t)job; i < options->schedules && good; i += (uint64_t)options->jobs) {
        make_and_run(world, &plan, options->seed + i);
        totals->schedules++;
        totals->steps += world->steps;
        good = world->problem[0] == '\0';
    }
    if (!good)
        tell(world, &plan, options->quiet);
    world_clear(world);
    arena_clear(&world->arena);
    free(world);
    return good;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_job(const struct options *options, int job, int report)
{
    struct totals totals = {0};
    bool good = run_share(options, job, &totals);

    fflush(stdout);
    if (write(report, &totals, sizeof totals) != (ssize_t)sizeof totals)
        good = false;
    return good ? 0 : 1;
}

static int run_all(const struct options *options)
{
    double started = seconds_now(), seconds;
    struct totals all = {0}, one;
    int pipes[2], failed = 0, status;

    if (pipe(pipes) != 0)
        abort();
    fflush(stdout);
    for (int job = 0; job < options->jobs; job++) {
        pid_t child = fork();

        if (child < 0)
            abort();
        if (child == 0)
            _exit(run_job(options, job, pipes[1]));
    }
    close(pipes[1]);
    while (read(pipes[0], &one, sizeof one) == (ssize_t)sizeof one) {
        all.schedules += one.schedules;
        all.steps += one.steps;
    }
    while (wait(&status) > 0)
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    seconds = seconds_now() - started;
    printf("%" PRIu64 " schedules, %" PRIu64 " steps in %.1f s with %d processes: "
           "%.2f million steps a second and process; %d failed\n",
           all.schedules, all.steps, seconds, options->jobs,
           (double)all.steps / seconds / options->jobs / 1e6, failed);
    return failed == 0 ? 0 : 1;
}

static int replay(const struct options *options)
{
    struct world *world = world_new();
    static struct plan plan;
    bool good;

    make_and_run(world, &plan, options->replay);
    good = world->problem[0] == '\0';
    if (good)
        printf("seed %" PRIu64 " ends well, after %" PRIu64 " steps\n", options->replay,
               world->steps);
    else
        tell(world, &plan, options->quiet);
    world_clear(world);
    arena_clear(&world->arena);
    free(world);
    return good ? 0 : 1;
}

static bool read_options(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"schedules", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},
        {"replay", required_argument, NULL, 'r'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        uint64_t number = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;

        switch (option) {
        case 'n':
            options->schedules = number;
            break;
        case 's':
            options->seed = number;
            break;
        case 'j':
            options->jobs = (int)number;
            break;
        case 'r':
            options->replay = number;
            break;
        case 'q':
            options->quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return false;
        }
    }
    return optind == argc && options->jobs >= 1 && options->jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {
        .schedules = 100000,
        .seed = 1,
        .replay = UINT64_MAX,
        .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN),
    };

    if (!read_options(&options, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    return options.replay != UINT64_MAX ? replay(&options) : run_all(&options);
}
