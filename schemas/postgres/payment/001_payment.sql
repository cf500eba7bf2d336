-- Payment's own tables. What a rebuild compares with the topics: payment_events (a fold of
-- shop.payments.v1 only) and payment_requests (a fold of shop.orders.v1 only). owed_calls is neither
-- and is not compared: a row of it lives from the decision to call the provider to its answer.

-- One row for each event this part has published: the payment's history, and its last row is where it
-- stands. Rows are only added.
create table payment_events (
    order_id     text collate "C" not null,
    number       bigint not null,     -- of the event; its id is payment/<shard>/<number>
    state        smallint not null,   -- that it led to: the numbers of the payment states in saga/table.def
    amount_minor bigint not null,     -- 0 and no currency: no money was touched
    currency     text not null,
    provider     text not null,
    provider_ref text not null,       -- the provider's id of the operation; empty: it was not asked
    code         text not null,       -- why not, after declined and failed; else empty
    occurred_at  bigint not null,     -- UTC, microseconds
    primary key (order_id, number)
);

-- What the order service asked for. Written when order.created comes, and once or twice more in place:
-- no index but the key, and room on the page, keep that from touching an index.
create table payment_requests (
    order_id      text collate "C" primary key,
    seen          smallint not null,  -- bits: 1 order.created, 2 order.confirmed, 4 order.cancelled
    amount_minor  bigint not null,    -- 0 and empty texts until order.created has come
    currency      text not null,
    payment_token text not null
) with (fillfactor = 50);

-- Calls that the provider still has to answer. Inserted in the commit that decides on the call and
-- deleted in the one that applies its answer, so a call can be lost by nobody: who takes a shard over
-- makes all of its calls again, with the same idempotency keys.
create table owed_calls (
    shard        integer not null,
    order_id     text collate "C" not null,
    operation    smallint not null,   -- 1 authorize, 2 capture, 3 void, 4 refund
    provider_ref text not null,       -- what it is about: the authorization, or the capture; empty: nothing yet
    cause        text not null,       -- id of the event that led to the call
    cancelled_by text not null,       -- id of the order.cancelled that came while it was under way; else empty
    asked_at     bigint not null,     -- UTC, microseconds
    primary key (order_id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
