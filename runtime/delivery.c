#include "runtime/delivery.h"

/* --- Receiver ------------------------------------------------------------------------------- */

void receiver_start(struct receiver *receiver, uint64_t high_water, int64_t next_offset, bool fresh)
{
    *receiver = (struct receiver){
        .high_water = high_water,
        .fresh = fresh,
        .next_offset = next_offset,
        .gap_offset = -1,
        .read_to_end_ms = -1,
        .end_asked_ms = -1,
        .nack_at_ms = -DELIVERY_NACK_EVERY_MS,
    };
}

static void open_gap(struct receiver *receiver, int64_t unread)
{
    if (receiver->gap)
        return;
    receiver->gap = true;
    receiver->looked_back = false;
    receiver->gap_offset = unread;
}

static void close_gap(struct receiver *receiver)
{
    receiver->gap = false;
    receiver->gap_offset = -1;
}

enum receiver_verdict receiver_read(struct receiver *receiver, uint64_t number, int64_t offset)
{
    int64_t unread = receiver->next_offset;

    receiver->next_offset = offset + 1;
    if (receiver->fresh) {
        receiver->fresh = false;
        /* From offset 0 on nothing is missing but what the writer has lost on the way. */
        receiver->high_water = offset == 0 ? 0 : number - 1;
    }
    if (number <= receiver->high_water)
        return RECEIVER_DUPLICATE;
    if (number > receiver->high_water + 1) {
        open_gap(receiver, unread);
        return RECEIVER_GAP;
    }
    receiver->high_water = number;
    close_gap(receiver);
    return RECEIVER_APPLY;
}

void receiver_read_unnumbered(struct receiver *receiver, int64_t offset)
{
    receiver->next_offset = offset + 1;
}

/* What a heartbeat claims and the whole log does not hold is missing. */
static void judge_claim(struct receiver *receiver)
{
    if (receiver->claimed > receiver->high_water && !receiver->fresh &&
        receiver->read_to_end_ms >= receiver->claimed_at_ms)
        open_gap(receiver, receiver->next_offset);
}

void receiver_log_is_shorter(struct receiver *receiver)
{
    receiver->next_offset = -1;
    receiver->gap_offset = -1;
}

void receiver_at_end(struct receiver *receiver, int64_t now_ms)
{
    receiver->read_to_end_ms = now_ms;
    judge_claim(receiver);
}

void receiver_end_is(struct receiver *receiver, int64_t end_offset, int64_t now_ms)
{
    if (receiver->next_offset < end_offset && end_offset > 0)
        return;
    receiver->end_asked_ms = now_ms;
    receiver_at_end(receiver, now_ms);
}

bool receiver_is_read_since(const struct receiver *receiver, int64_t since_ms)
{
    return !receiver->gap && receiver->end_asked_ms >= since_ms;
}

void receiver_heartbeat(struct receiver *receiver, uint64_t published, int64_t now_ms)
{
    bool was_claimed = receiver->claimed > receiver->high_water;

    if (published <= receiver->claimed)
        return;
    receiver->claimed = published;
    /* A busy writer claims more each second: the older claim, still open, keeps its time. */
    if (published > receiver->high_water && !was_claimed)
        receiver->claimed_at_ms = now_ms;
}

bool receiver_undecodable(struct receiver *receiver, int64_t offset)
{
    receiver->wait_until_ms = 0;
    /* The same record read a second time is no second try: its resend lies behind it in the log. */
    if (receiver->asked_again == receiver->high_water && offset > receiver->asked_offset) {
        receiver->waiting = 0;
        return false;
    }
    receiver->asked_again = receiver->high_water;
    receiver->asked_offset = offset;
    receiver->high_water--;
    open_gap(receiver, offset);
    receiver->looked_back = true; /* the log would show the same bytes: ask the writer at once */
    return true;
}

void receiver_gone(struct receiver *receiver, uint64_t number)
{
    if (!receiver->gap || number != receiver->high_water + 1 || number != receiver->asked_again)
        return;
    receiver->asked_offset = -1;
    receiver->looked_back = false;
}

void receiver_taken(struct receiver *receiver)
{
    receiver->waiting = 0;
    receiver->wait_until_ms = 0;
}

void receiver_hold(struct receiver *receiver, int64_t offset, int64_t now_ms)
{
    if (receiver->waiting != receiver->high_water) {
        receiver->waiting = receiver->high_water;
        receiver->waiting_since_ms = now_ms;
    }
    receiver->wait_until_ms = now_ms + DELIVERY_SCHEMA_STEP_MS;
    receiver->high_water--;
    open_gap(receiver, offset);
    receiver->looked_back = true;
    receiver->nack_at_ms = now_ms;
}

bool receiver_has_waited(const struct receiver *receiver, int64_t now_ms)
{
    return receiver->waiting == receiver->high_water &&
           now_ms - receiver->waiting_since_ms > DELIVERY_SCHEMA_WAIT_MS;
}

enum receiver_wish receiver_tick(struct receiver *receiver, int64_t now_ms)
{
    if (receiver->wait_until_ms > 0) {
        if (now_ms < receiver->wait_until_ms)
            return RECEIVER_NOTHING;
        receiver->wait_until_ms = now_ms + DELIVERY_SCHEMA_STEP_MS;
        return RECEIVER_LOOK_BACK;
    }
    if (receiver->gap) {
        if (!receiver->looked_back) {
            receiver->looked_back = true;
            receiver->nack_at_ms = now_ms; /* the log has a second to show it */
            return RECEIVER_LOOK_BACK;
        }
        if (now_ms - receiver->nack_at_ms < DELIVERY_NACK_EVERY_MS)
            return RECEIVER_NOTHING;
        receiver->nack_at_ms = now_ms;
        return RECEIVER_NACK;
    }
    if (receiver->claimed > receiver->high_water && !receiver->fresh &&
        now_ms - receiver->claimed_at_ms >= DELIVERY_QUIET_MS &&
        receiver->read_to_end_ms < receiver->claimed_at_ms)
        return RECEIVER_ASK_END;
    return RECEIVER_NOTHING;
}

int64_t receiver_position(const struct receiver *receiver)
{
    return receiver->gap ? receiver->gap_offset : receiver->next_offset;
}

/* --- Sender --------------------------------------------------------------------------------- */

void sender_start(struct sender *sender)
{
    /* Reports of an earlier time as owner may still come in: they are counted, nothing more. */
    uint64_t in_flight = sender->in_flight, generation = sender->generation;

    *sender = (struct sender){
        .doubt = true,
        .published_offset = -1,
        .in_flight = in_flight,
        .generation = generation + 1,
        .nack_at_ms = -DELIVERY_NACK_EVERY_MS,
    };
}

uint64_t sender_wants(const struct sender *sender, uint64_t journal_last)
{
    if (sender->doubt || sender->last_sent >= journal_last)
        return 0;
    return sender->last_sent + 1;
}

bool sender_send(struct sender *sender, uint64_t number)
{
    if (sender->doubt || number != sender->last_sent + 1)
        return false;
    sender->last_sent = number;
    sender->in_flight++;
    return true;
}

void sender_doubt(struct sender *sender)
{
    sender->doubt = true;
    sender->generation++;
}

void sender_acknowledged(struct sender *sender, uint64_t generation, uint64_t number,
                         int64_t offset)
{
    sender->in_flight--;
    if (generation != sender->generation)
        return;
    if (offset <= sender->published_offset) {
        sender_doubt(sender);
        return;
    }
    sender->published_offset = offset;
    if (number == sender->published + 1)
        sender->published = number;
}

void sender_failed(struct sender *sender, uint64_t generation)
{
    sender->in_flight--;
    if (generation == sender->generation)
        sender_doubt(sender);
}

bool sender_end_is(struct sender *sender, int64_t end_offset)
{
    if (sender->doubt || end_offset > sender->published_offset)
        return false;
    sender_doubt(sender);
    return true;
}

bool sender_may_read_back(const struct sender *sender)
{
    return sender->doubt && sender->in_flight == 0;
}

void sender_read_back(struct sender *sender, uint64_t run, int64_t end_offset)
{
    sender->doubt = false;
    sender->generation++;
    sender->last_sent = run;
    sender->published = run;
    sender->published_offset = end_offset - 1;
}

void sender_skip(struct sender *sender, uint64_t number, uint64_t next)
{
    if (sender->last_sent + 1 != number)
        return;
    sender->last_sent = next - 1;
    sender->published = next - 1;
}

bool sender_nack(struct sender *sender, uint64_t number, int64_t now_ms)
{
    if (sender->doubt || number == 0 || number > sender->published ||
        now_ms - sender->nack_at_ms < DELIVERY_NACK_EVERY_MS)
        return false;
    sender->nack_at_ms = now_ms;
    /* Everything from number on is sent again; what was acknowledged stays published. */
    sender->last_sent = number - 1;
    return true;
}

int64_t read_back_start(int64_t minute_before, int64_t end_offset)
{
    /* A log that lost its tail grows by what was under way before its writer notices. When that is
     * all that the minute holds, the hole lies in front of it. */
    int64_t under_way = end_offset - DELIVERY_IN_FLIGHT_MAX - 1;
    int64_t start = minute_before < under_way ? minute_before : under_way;

    return start > 0 ? start : 0;
}

/* --- The run of numbers in a log ------------------------------------------------------------ */

struct number_run number_run_from(uint64_t first)
{
    return (struct number_run){.first = first, .run = first - 1};
}

void number_run_read(struct number_run *run, uint64_t number, int64_t offset)
{
    run->end = offset + 1;
    if (run->first == 0) {
        run->first = number;
        run->run = run->whole && number > 1 ? 0 : number;
    } else if (number == run->run + 1) {
        run->run = number;
    }
    if (number > run->highest)
        run->highest = number;
}

uint64_t number_run_of_log(const struct number_run *run, int64_t low, int64_t end,
                           uint64_t published)
{
    if (run->first > 0)
        return run->run;
    return low == end && end == 0 ? 0 : published;
}

int64_t number_run_end(const struct number_run *run, int64_t asked_end)
{
    return run->end > asked_end ? run->end : asked_end;
}
