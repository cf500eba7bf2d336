-- What email keeps. Design section 6: a table is a fold of this part's own topic, or of its inputs, or
-- neither (then a replay does not compare it); never of both.
--
--   orders       inputs      what there is to write about an order, and to whom (sealed)
--   mails        own topic   one row for each mail that was sent or given up
--   owed_mails   neither     one row for each mail that is queued: the intent, and how often it was tried
--
-- An order can be cancelled after it was fulfilled and refunded long after that, so its row stays; the
-- contact in it can be read only with its key. Texts are compared byte by byte, as the program sorts them.

create table orders (
    order_id text collate "C" primary key,
    created  bytea not null -- order.created, encoded anew without what a mail has no use for
);

create table mails (
    order_id   text collate "C" not null,
    kind       smallint not null,  -- MailKind
    state      smallint not null,  -- saga/table.def, EMAIL_STATE: sent or given_up
    message_id text not null,
    reason     text not null,      -- given up: why; else empty
    settled_us bigint not null,    -- the event's occurred_at
    primary key (order_id, kind)
);

-- A queue: rows come at one end of a shard and go soon. Vacuumed often, it stays small.
create table owed_mails (
    shard        int not null,
    order_id     text collate "C" not null,
    kind         smallint not null,          -- MailKind
    cause        text not null,              -- ce_id of the event that is to be told
    queued_us    bigint not null,
    reason       smallint not null,          -- cancellation: CancelReason
    was          smallint not null,          -- cancellation: OrderStage
    amount_minor bigint not null,            -- refund: what is given back
    currency     text not null,
    attempts     int not null default 0,
    next_try_us  bigint not null default 0,
    last_error   text not null default '',
    primary key (shard, order_id, kind)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
