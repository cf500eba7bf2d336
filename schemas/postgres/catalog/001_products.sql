-- What the catalog keeps. Design section 6: a table is a fold of this part's own topic, or of its
-- inputs, or neither.
--
--   products   own topic   what is sold, and what was
--
-- Texts are compared byte by byte, as the program sorts them.

create table products (
    sku              text collate "C" primary key,
    name             text not null,
    kind             smallint not null, -- ProductKind
    unit_price_minor bigint not null,
    currency         text not null,
    category         text,
    sold             boolean not null,  -- false: withdrawn; the rest is what it was
    event            text not null,     -- ce_id of the event that made it so
    changed_us       bigint not null    -- that event's occurred_at
);
