-- What fraud keeps. Design section 6: a table is a fold of this part's own topic, or of its inputs, or
-- neither (then a replay does not compare it); never of both.
--
--   verdicts          own topic   one row an order; that it is there is the saga's state "done"
--   tombstones        inputs      orders that were cancelled before they were heard of; few
--   customer_orders   inputs      when a customer ordered, as far back as the window reaches
--
-- Rows of verdicts are written once and never change. A customer's rows in customer_orders that lie a
-- window or more behind the newest are dropped when the customer orders again: which rows are left
-- does not depend on the order in which they came. Guests have none: nobody knows who they are.
-- Texts are compared byte by byte, as the program sorts them.

create table verdicts (
    order_id text collate "C" primary key,
    flagged  boolean not null,
    score    int not null
);

create table tombstones (
    order_id text collate "C" primary key
);

create table customer_orders (
    customer_id text collate "C" not null,
    ordered_us  bigint not null,
    order_id    text collate "C" not null,
    primary key (customer_id, ordered_us, order_id)
);
