/* Who acts. */
#ifndef TRADEWIND_OPS_ACTOR_H
#define TRADEWIND_OPS_ACTOR_H

/** The user who runs this: what parts are told, and what is told of what they do. */
const char *ops_actor(void);

#endif
