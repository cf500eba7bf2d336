/* What each command's file offers to ops/main.c. */
#ifndef TRADEWIND_OPS_COMMANDS_H
#define TRADEWIND_OPS_COMMANDS_H

#include "ops/args.h"
#include "runtime/err.h"
#include "runtime/settings.h"

int command_archive(const struct command *command, int argc, char **argv);
int command_audit(const struct command *command, int argc, char **argv);
int command_dlq(const struct command *command, int argc, char **argv);
/** `groups reset` */
int command_groups_reset(const struct command *command, int argc, char **argv);
int command_groups(const struct command *command, int argc, char **argv);
int command_import(const struct command *command, int argc, char **argv);
int command_keys(const struct command *command, int argc, char **argv);
int command_ops(const struct command *command, int argc, char **argv);
/** A command of the program tradewind-replay. */
int command_in_replay(const struct command *command, int argc, char **argv);
int command_order(const struct command *command, int argc, char **argv);
int command_restore(const struct command *command, int argc, char **argv);
int command_status(const struct command *command, int argc, char **argv);
int command_summary(const struct command *command, int argc, char **argv);
int command_tail(const struct command *command, int argc, char **argv);
int command_token(const struct command *command, int argc, char **argv);
int command_topics(const struct command *command, int argc, char **argv);

/** Read the command line's own settings and the common ones. OPS_OK, or OPS_USAGE after it has said
 * what is wrong. */
int ops_settings(const struct command *command);
/** The same with rows of a part that the command works for. */
int ops_settings_with(const struct command *command, const struct setting *more, size_t more_count);

/** Say what went wrong on standard error; gives the exit code that fits the kind. */
int ops_failed(const struct command *command, const struct err *err);

#endif
