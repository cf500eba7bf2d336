/* tradewind replay, asof: they are the program tradewind-replay, which lies beside this one. */
#include "ops/commands.h"
#include "runtime/bytes.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define PROGRAM "tradewind-replay"

int command_in_replay(const struct command *command, int argc, char **argv)
{
    /* Beside it when installed, else as the build has them. */
    static const char *const PLACES[] = {"", "replay/"};
    char **arguments = mem_alloc(((size_t)argc + 2) * sizeof *arguments);
    char self[PATH_MAX] = "";
    char *slash;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 ||
        (slash = strrchr(self, '/')) == NULL) {
        fprintf(stderr, "tradewind %s: where this program lies is not known\n", command->name);
        return OPS_USAGE;
    }
    slash[1] = '\0';
    arguments[0] = (char *)(uintptr_t)PROGRAM;
    memcpy(arguments + 1, argv, (size_t)argc * sizeof *arguments);
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        AUTO(buf_clear) struct buf path = {0};

        buf_printf(&path, "%s%s" PROGRAM, self, PLACES[i]);
        execv(buf_cstr(&path), arguments);
    }
    fprintf(stderr, "tradewind %s: %s" PROGRAM " cannot be run: %s\n", command->name, self,
            strerror(errno));
    return OPS_USAGE;
}
