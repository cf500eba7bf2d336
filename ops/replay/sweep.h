/* What a part owes when rebuilt tables become its state.
 *
 * Inputs are decided again when what the part made of them is not in the rebuilt state: they are
 * taken out of the shadow and left as dead letters with the reason `undecided`, which the part
 * decides with its own code, in order, before anything newer of their key (events/undecided.c).
 *
 * After a loss that are all inputs that wait for something. Beside a live state that was intact it
 * is what that state has hidden: of a key whose rows are others than those rebuilt, or of which
 * nothing lies in the table of what is owed. */
#ifndef TRADEWIND_REPLAY_SWEEP_H
#define TRADEWIND_REPLAY_SWEEP_H

#include "ops/replay/live.h"

struct sweep {
    uint64_t undecided; /* inputs set aside in the shadow */
    /* Keys whose live rows are wrong: what is owed by them is forgotten. */
    struct view *wrong;
    size_t wrong_count;
};

/** Set aside what is open, all of it. */
enum err_kind sweep_all(struct sweep *out, struct shadow *shadow, struct arena *arena,
                        struct err *err);

/** Set aside what the live state has hidden. Errors as live_follow. */
enum err_kind sweep_hidden(struct sweep *out, struct shadow *shadow, struct live *live,
                           struct arena *arena, struct err *err);
/** Inside the transaction of live->pg that puts the shadow in place, before it does: what was set
 * aside becomes dead letters, and wrong debts go. */
enum err_kind sweep_hand_over(const struct sweep *sweep, const struct shadow *shadow,
                              const struct live *live, struct err *err);

/** Load the shadow as it is stored, and put back into it what a swap that did not come to its end
 * has set aside. When that fails, nothing has changed: only this may come next. */
enum err_kind sweep_take_back(struct shadow *shadow, struct err *err);

#endif
