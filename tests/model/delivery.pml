/* One shard from a writer's journal to its reader: the rules of runtime/delivery.c, with everything
 * else left to chance. Run by tests/model/run, which also takes each rule away (NO_..., and the like) and
 * shows that the model misses it.
 *
 * The broker loses a record or writes one that it had called lost, long afterwards; the log's tail is cut
 * at any moment, also when it has been read; relays die, and a second one takes over while the
 * first still believes it is the owner; a reader dies, and is set to a wrong offset. What was committed
 * is FACTS numbers; of such faults there are FAULTS in a run.
 *
 * Heartbeats and requests (NACKs) go out of band: a word that may be stale, never a queue. Time is left
 * out but for one thing: who asks once a second asks when nothing else moves, and EARLY times earlier.
 *
 * At rest the log must hold 1..FACTS, the reader must have applied 1..FACTS in order, each once, and the
 * relay must know it: not only that the marks agree, because marks can agree over a hole.
 *
 * CUT_ANYWHERE: the log is cut while two relays write to it, too. That leaves a hole that the reader is
 * behind, which is found (PROOF) when the log is read once more before the journal forgets: here, when
 * nothing else moves and the reader has all. */

#ifndef FACTS
#define FACTS 3
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef EARLY
#define EARLY 1
#endif
#define LOG 12 /* records, at most: without end is an error */
#define RELAYS 2
#define READERS 1

#define FAULT faults > 0 -> faults--

byte faults = FAULTS, early = EARLY;

/* ---- journal, log, words out of band ---- */

byte committed;
byte log[LOG], end;
byte claim;             /* "published up to": the last heartbeat */
byte request;           /* the last NACK; 0: none */
byte ghost;             /* was called lost and will be written; 0: none */
#ifdef PROOF
bool unproven;          /* the log was cut, and not read to its end since */
#endif

inline append(number)
{
    assert(end < LOG);
    log[end] = number;
    end++
}

/* ---- relays: struct sender ---- */

typedef relay {
    bool owns;
    bool doubt;
    byte last_sent, published, offset; /* offset: behind the highest that was acknowledged */
    byte flying[2], flown[2];          /* numbers under way; where they were written + 1, 0: lost */
    byte sent, written                 /* how many of them are sent, and written or lost */
};
relay relays[RELAYS];
byte owner; /* by the group: the other may not have heard */

inline doubts(r)
{
    relays[r].doubt = true
}

/* The first of what flies has a report. */
inline hears(r)
{
    if
    :: relays[r].flown[0] == 0 -> doubts(r)
    :: relays[r].flown[0] > 0 && !relays[r].doubt ->
       if
#ifndef NO_OFFSET_CHECK
       :: relays[r].flown[0] <= relays[r].offset -> doubts(r)
#endif
       :: else ->
          relays[r].offset = relays[r].flown[0];
          relays[r].published =
              (relays[r].flying[0] == relays[r].published + 1 -> relays[r].flying[0]
                                                              : relays[r].published)
       fi
    :: else
    fi;
    relays[r].flying[0] = relays[r].flying[1];
    relays[r].flown[0] = relays[r].flown[1];
    relays[r].flying[1] = 0;
    relays[r].flown[1] = 0;
    relays[r].sent--;
    relays[r].written--
}

/* The log is read from its beginning; a run begins with 1. */
inline reads_back(r)
{
    i = 0;
    reached = 0;
    do
    :: i < end -> reached = (log[i] == reached + 1 -> reached + 1 : reached); i++
    :: else -> break
    od;
#ifdef BLIND
    reached = relays[r].published;
#endif
    relays[r].doubt = false;
    relays[r].last_sent = reached;
    relays[r].published = reached;
    relays[r].offset = end;
    i = 0;
    reached = 0
}

inline starts(r)
{
    relays[r].owns = true;
    relays[r].doubt = true;
    relays[r].last_sent = 0;
    relays[r].published = 0;
    relays[r].offset = 0
}

/* What flies when a relay dies is lost, written, or written much later. */
inline dies(r)
{
    if
    :: relays[r].sent > relays[r].written && ghost == 0 -> ghost = relays[r].flying[relays[r].written]
    :: true
    fi;
    relays[r].flying[0] = 0;
    relays[r].flying[1] = 0;
    relays[r].flown[0] = 0;
    relays[r].flown[1] = 0;
    relays[r].sent = 0;
    relays[r].written = 0;
    relays[r].owns = false
}

#define SENDS(r) (relays[r].owns && !relays[r].doubt)
#define IDLE(r) (relays[r].sent == 0 && (!relays[r].owns || (!relays[r].doubt && relays[r].last_sent == committed)))
#define NEWS(r) (relays[r].sent < 2 && relays[r].last_sent < committed)

proctype run_relay(byte r)
{
    byte i, reached;

end_relay:
    do
    /* It hears of the group. */
    :: atomic { relays[r].owns && owner != r -> relays[r].owns = false }
    :: atomic { !relays[r].owns && owner == r -> starts(r) }
    /* It sends last_sent + 1. */
    :: atomic { SENDS(r) && NEWS(r) ->
                relays[r].last_sent++;
                relays[r].flying[relays[r].sent] = relays[r].last_sent;
                relays[r].sent++ }
    /* The network: written, lost, written and called lost, called lost and written later. */
    :: atomic { relays[r].written < relays[r].sent ->
                append(relays[r].flying[relays[r].written]);
                relays[r].flown[relays[r].written] = end;
                relays[r].written++ }
    :: atomic { relays[r].written < relays[r].sent && FAULT; relays[r].written++ }
    :: atomic { relays[r].written < relays[r].sent && FAULT;
                append(relays[r].flying[relays[r].written]); relays[r].written++ }
    :: atomic { relays[r].written < relays[r].sent && ghost == 0 && FAULT;
                ghost = relays[r].flying[relays[r].written]; relays[r].written++ }
    :: atomic { relays[r].written > 0 -> hears(r) }
    /* In doubt, and nothing under way. */
    :: atomic { relays[r].owns && relays[r].doubt && relays[r].sent == 0 -> reads_back(r) }
    /* Once a second: does what was acknowledged still lie there? What is published? */
#ifndef NO_END_CHECK
    :: atomic { SENDS(r) && end < relays[r].offset -> doubts(r) }
#endif
    :: atomic { SENDS(r) && claim < relays[r].published -> claim = relays[r].published }
    /* A reader misses a number. */
    :: atomic { SENDS(r) && request > 0 ->
                if
#ifdef NACK_FORWARD
                :: true -> relays[r].last_sent = request - 1
#else
                :: request <= relays[r].published -> relays[r].last_sent = request - 1
                :: else
#endif
                fi;
                request = 0 }
    :: atomic { relays[r].owns && FAULT; dies(r) }
    od
}

/* ---- the reader: struct receiver ---- */

typedef reader {
    byte mark, fetch;   /* committed with each other */
    byte gap;           /* where reading stood, + 1, when a gap opened; 0: none */
    bool looked_back
};
reader readers[READERS];

inline opens_gap(p, at)
{
    if
    :: readers[p].gap == 0 -> readers[p].gap = at + 1; readers[p].looked_back = false
    :: else
    fi
}

inline reads(p)
{
    if
    :: log[readers[p].fetch] == readers[p].mark + 1 -> readers[p].mark++; readers[p].gap = 0
    :: log[readers[p].fetch] > readers[p].mark + 1 -> opens_gap(p, readers[p].fetch)
    :: else
    fi;
    readers[p].fetch++
}

#define MISSES(p) (readers[p].gap > 0 && readers[p].looked_back && readers[p].fetch == end)
#define QUIET (IDLE(0) && IDLE(1) && ghost == 0 && request == 0)

proctype run_reader(byte p)
{
end_reader:
    do
#ifdef STOPS_AT_GAP
    :: atomic { readers[p].fetch < end && readers[p].gap == 0 -> reads(p) }
#else
    :: atomic { readers[p].fetch < end -> reads(p) }
#endif
    :: atomic { readers[p].fetch > end -> readers[p].fetch = 0; /* out of range: read all there is */
                readers[p].gap = (readers[p].gap > 0 -> 1 : 0) }
    /* A heartbeat above the mark is a gap when the log has been read to its end. */
#ifndef NO_HEARTBEAT
    :: atomic { readers[p].fetch == end && claim > readers[p].mark && readers[p].gap == 0 ->
                opens_gap(p, readers[p].fetch) }
#endif
    :: atomic { readers[p].gap > 0 && !readers[p].looked_back ->
                readers[p].looked_back = true; readers[p].fetch = readers[p].gap - 1 }
#ifndef NO_NACK
    :: atomic { MISSES(p) && QUIET -> request = readers[p].mark + 1 }
    :: atomic { MISSES(p) && early > 0 -> early--; request = readers[p].mark + 1 }
#endif
    /* It dies: memory is what is stored, the position below a gap. Or somebody set the offset. */
    :: atomic { FAULT; readers[p].fetch = (readers[p].gap > 0 -> readers[p].gap - 1 : readers[p].fetch);
                readers[p].gap = 0 }
    :: atomic { FAULT; readers[p].gap = 0; readers[p].fetch = end }
    od
}

/* ---- everything else ---- */

#ifdef CUT_ANYWHERE
#define MAY_CUT true
#else
#define MAY_CUT (ghost == 0 && !(relays[0].owns && relays[1].owns) && relays[1 - owner].sent == 0)
#endif

active proctype surroundings()
{
#ifdef PROOF
    byte i, reached;
#endif

    atomic { run run_relay(0); run run_relay(1); run run_reader(0) }
end_surroundings:
    do
    :: atomic { committed < FACTS -> committed++ }
    :: atomic { ghost > 0 -> append(ghost); ghost = 0 }
    :: atomic { end > 0 && MAY_CUT && FAULT;
#ifdef PROOF
                unproven = true;
#endif
                do
                :: end > 0 -> end--; log[end] = 0
                :: break
                od }
    /* Before the journal forgets: the log is read as a new reader would, and asked for what it lacks. */
#ifdef PROOF
    :: atomic { unproven && QUIET && readers[0].mark == FACTS && readers[0].gap == 0 ->
                do
                :: i < end -> reached = (log[i] == reached + 1 -> reached + 1 : reached); i++
                :: else -> break
                od;
                if
                :: reached < FACTS -> request = reached + 1
                :: else -> unproven = false
                fi;
                i = 0;
                reached = 0 }
#endif
    :: atomic { FAULT; owner = 1 - owner }
    od
}

/* ---- at rest ---- */

active proctype rest()
{
    byte i, reached;

    atomic {
        timeout ->
        do
        :: i < end -> reached = (log[i] == reached + 1 -> reached + 1 : reached); i++
        :: else -> break
        od;
        assert(committed == FACTS);
        assert(reached == FACTS);
        assert(relays[owner].owns && relays[owner].published == FACTS);
        assert(readers[0].mark == FACTS && readers[0].gap == 0)
    }
}
