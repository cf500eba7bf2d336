-- What analytics keeps: a star of facts that are written once and never change, for people who know SQL.
-- docs/analytics.md shows how to ask it.
--
-- Each fact is one event (fact_lines: one line of an event) and names it in `event`, the ce_id. What an order
-- is now follows from which facts there are, so it does not matter which topic was read first, and the state of
-- an order is a column of a view. Design section 6: all tables are folds of inputs.
--
-- Money is in minor units of its currency; times are UTC. `at` is when the part that published the event
-- decided it; `ordered_at` is when the customer ordered.

-- Microseconds since 1970, as events have them.
create function utc(us bigint) returns timestamptz language sql immutable strict parallel safe
    return timestamptz 'epoch' + us * interval '1 microsecond';

create table fact_orders (           -- order.created
    order_id    text collate "C" primary key,
    customer_id text not null,
    country     text not null,
    ordered_at  timestamptz not null,
    currency    text not null,
    total_minor bigint not null,
    line_count  int not null,
    event       text not null,
    at          timestamptz not null
);

create table fact_lines (            -- order.created, each line
    order_id         text collate "C" not null,
    line             int not null,   -- from 1, as the customer wrote them
    sku              text collate "C" not null,
    kind             text not null,  -- goods, charge
    quantity         bigint not null,
    unit_price_minor bigint not null,
    amount_minor     bigint not null,
    event            text not null,
    primary key (order_id, line)
);

create table fact_confirmations (    -- order.confirmed
    order_id text collate "C" primary key,
    event    text not null,
    at       timestamptz not null
);

create table fact_cancellations (    -- order.cancelled
    order_id text collate "C" primary key,
    reason   text not null,          -- out_of_stock, payment_declined, fraud, deadline, customer, payment_failed
    was      text not null,          -- placed, confirmed, fulfilled
    event    text not null,
    at       timestamptz not null
);

create table fact_closures (         -- order.closed
    order_id text collate "C" not null,
    outcome  text not null,          -- fulfilled; cancelled (also behind fulfilled: it was undone)
    event    text not null,
    at       timestamptz not null,
    primary key (order_id, outcome)
);

create table fact_payments (         -- payment.*
    order_id     text collate "C" not null,
    kind         text not null,      -- authorized, declined, captured, failed, voided, refunded
    amount_minor bigint not null,
    currency     text not null,
    provider     text not null,
    provider_ref text not null,
    code         text not null,      -- why it was declined or failed, else empty
    event        text not null,
    at           timestamptz not null,
    primary key (order_id, kind)
);

-- The newest of product.upserted and product.withdrawn.
create table dim_products (
    sku              text collate "C" primary key,
    name             text not null,
    kind             text not null,
    category         text,
    unit_price_minor bigint not null,
    currency         text not null,
    sold             boolean not null,
    event            text not null,
    number           bigint not null, -- of the event: an older one changes nothing
    at               timestamptz not null
);
