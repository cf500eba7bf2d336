-- What the order service keeps. Design section 6: a table is a fold of this part's own topic, or of its
-- inputs, or neither (then a replay does not compare it); never of both.
--
--   orders          own topic    what never changes about an order
--   order_states    own topic    how far it is: small, hot
--   open_orders     own topic    the placed ones: what deadlines and overload are measured by
--   order_verdicts  inputs       what the others said of an order
--   products        inputs       what is sold, at which price
--   idempotency     neither      requests of the last 24 hours
--
-- Columns that the saga changes have no index and rows leave room on their page, so that an update
-- touches no index (HOT). Orders of one moment lie side by side and are changed together, so there
-- is room for two more versions of all of them: with 40 percent of a page free a third of the updates went
-- elsewhere, with 70 percent one in ten. Texts are compared byte by byte, as the program sorts them.

create table orders (
    id          text collate "C" primary key,
    customer_id text collate "C" not null,
    created     bytea not null -- the value of order.created, as it was sent: lines, country, sealed contact, ...
);
create index orders_customer on orders (customer_id, id);

create table order_states (
    id             text collate "C" primary key,
    created_us     bigint not null,   -- order.created's occurred_at
    created_number bigint not null,   -- its number in the order's shard
    customer_id    text collate "C" not null,
    total_minor    bigint not null,
    currency       text not null,
    state          smallint not null, -- saga/table.def, ORDERS_STATE
    reason         smallint not null default 0, -- CancelReason of order.cancelled
    detail         text not null default '',    -- its detail
    said           bytea not null     -- own events, producers/orders/orders_history.h
) with (fillfactor = 30);

create table order_verdicts (
    id    text collate "C" primary key,
    heard integer not null, -- saga/table.def, HEARD: a set of bits
    seen  bytea not null    -- the events heard, producers/orders/orders_history.h
) with (fillfactor = 30);

-- A queue: rows come at one end of a shard and go soon. Vacuumed often, it stays small.
create table open_orders (
    shard       integer not null,
    number      bigint not null,  -- of order.created
    id          text collate "C" not null,
    deadline_ms bigint not null,
    primary key (shard, number)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table products (
    sku              text collate "C" primary key,
    unit_price_minor bigint not null,
    currency         text not null,
    kind             smallint not null, -- ProductKind
    sold             boolean not null,  -- false: withdrawn
    event            text not null      -- ce_id of the product.upserted that gave the price
);

create table idempotency (
    key          text collate "C" primary key, -- "<role> <subject> <Idempotency-Key>"
    order_id     text collate "C" not null,
    request_hash bytea not null,   -- SHA-256 of the body
    created_us   bigint not null
);
create index idempotency_age on idempotency (created_us);
