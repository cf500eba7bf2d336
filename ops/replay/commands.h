#ifndef TRADEWIND_REPLAY_COMMANDS_H
#define TRADEWIND_REPLAY_COMMANDS_H

#include "ops/commands.h"

int command_asof(const struct command *command, int argc, char **argv);
int command_replay(const struct command *command, int argc, char **argv);

#endif
