-- The book of the sandbox payment provider: an outside company's, so no part reads it. An audit does.
--
-- What was taken, in minor units:      select currency, sum(captured_minor) from authorizations group by 1
-- What was given back:                 select currency, sum(refunded_minor) from authorizations group by 1
-- Orders that were charged twice:      select merchant_ref from authorizations
--                                      where status in ('captured', 'refunded') group by 1 having count(*) > 1
-- Attempts to take or give too much:   select * from operations where outcome = 'violation'

create table authorizations (
    number         bigint primary key,   -- in the ids: auth_<number>, cap_<number>, void_<number>, ref_<number>
    merchant_ref   text collate "C" not null, -- what the merchant calls it: the order's id
    payment_token  text not null,
    status         text not null check (status in ('authorized', 'declined', 'captured', 'voided', 'refunded')),
    currency       text not null,
    amount_minor   bigint not null check (amount_minor >= 0),
    captured_minor bigint not null default 0 check (captured_minor between 0 and amount_minor),
    refunded_minor bigint not null default 0 check (refunded_minor between 0 and captured_minor),
    created_at     timestamptz not null default now()
) with (fillfactor = 50); -- nearly every row is changed once: its new version fits beside it

create index authorizations_merchant_ref on authorizations (merchant_ref);

-- Every request that was booked, under its Idempotency-Key: the same key gets the same answer.
create table operations (
    idempotency_key      text collate "C" primary key,
    request              text not null,      -- what was asked; another one under the same key is refused
    kind                 text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
    authorization_number bigint not null,
    outcome              text not null check (outcome in ('done', 'declined', 'violation')),
    code                 text not null,      -- why it was not done; else empty
    amount_minor         bigint not null,
    currency             text not null,
    asked                integer not null default 1, -- how often this request came
    booked_at            timestamptz not null default now()
);
