#include "ops/actor.h"

#include <pwd.h>
#include <unistd.h>

const char *ops_actor(void)
{
    const struct passwd *user = getpwuid(getuid());

    return user != NULL ? user->pw_name : "tradewind";
}
