#include "ops/provider/behaviour.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct {
    const char *token;
    struct behaviour behaviour;
} rows[] = {
    {"tok_approve", {0}},
    {"tok_approved", {0}},
    {"tok_decline", {.declines = true, .decline_code = TEXT("card_declined")}},
    {"tok_declined", {.declines = true, .decline_code = TEXT("card_declined")}},
    {"tok_capture_fail", {.fails_capture = true}},
    {"tok_slow", {.is_slow = true}},
    {"tok_timeout", {.lost_answers = 2}},
    {"tok_timeout_once", {.lost_answers = 1}},
};

struct behaviour behaviour_of(struct view token)
{
    static const struct view decline = TEXT("tok_decline_");

    for (size_t i = 0; i < COUNT(rows); i++)
        if (view_equals(token, rows[i].token))
            return rows[i].behaviour;
    if (token.size > decline.size && memcmp(token.data, decline.data, decline.size) == 0)
        return (struct behaviour){
            .declines = true,
            .decline_code = view_of(token.data + decline.size, token.size - decline.size)};
    return (struct behaviour){.declines = true, .decline_code = VIEW_LITERAL("unknown_token")};
}
