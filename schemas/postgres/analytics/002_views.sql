-- What people ask of the star: orders as they are now, and what they are worth.

-- Each order as it is now.
create view orders as
select o.order_id, o.customer_id, o.country, o.ordered_at,
       date_trunc('hour', o.ordered_at at time zone 'UTC') as ordered_hour,
       o.currency, o.total_minor, o.line_count,
       case when x.order_id is not null and u.order_id is not null then 'closed'
            when x.order_id is not null then 'cancelled'
            when f.order_id is not null then 'fulfilled'
            when c.order_id is not null then 'confirmed'
            else 'placed' end as state,
       x.reason,
       o.at as placed_at, c.at as confirmed_at, x.at as cancelled_at, coalesce(u.at, f.at) as closed_at,
       o.event as placed_event, c.event as confirmed_event, x.event as cancelled_event,
       coalesce(u.event, f.event) as closed_event
  from fact_orders o
  left join fact_confirmations c on c.order_id = o.order_id
  left join fact_cancellations x on x.order_id = o.order_id
  left join fact_closures f on f.order_id = o.order_id and f.outcome = 'fulfilled'
  left join fact_closures u on u.order_id = o.order_id and u.outcome = 'cancelled';

-- Revenue is what fulfilled orders are worth that were not cancelled afterwards.
create view fulfilled_orders as
select o.*, f.event as closed_event
  from fact_orders o
  join fact_closures f on f.order_id = o.order_id and f.outcome = 'fulfilled'
 where not exists (select from fact_cancellations x where x.order_id = o.order_id);

create view revenue_by_country as
select country, currency, count(*) as orders, sum(total_minor)::bigint as revenue_minor
  from fulfilled_orders
 group by country, currency;

create view revenue_by_hour as
select date_trunc('hour', ordered_at at time zone 'UTC') as hour, currency, count(*) as orders,
       sum(total_minor)::bigint as revenue_minor
  from fulfilled_orders
 group by 1, 2;

create view revenue_by_product as
select l.sku, coalesce(p.name, l.sku) as name, o.currency, count(distinct l.order_id) as orders,
       sum(l.quantity)::bigint as units, sum(l.amount_minor)::bigint as revenue_minor
  from fulfilled_orders o
  join fact_lines l on l.order_id = o.order_id
  left join dim_products p on p.sku = l.sku
 group by l.sku, p.name, o.currency;

-- Money that moved, each order once.
create view money_by_currency as
select currency,
       coalesce(sum(amount_minor) filter (where kind = 'captured'), 0)::bigint as captured_minor,
       coalesce(sum(amount_minor) filter (where kind = 'refunded'), 0)::bigint as refunded_minor,
       coalesce(sum(amount_minor) filter (where kind = 'voided'), 0)::bigint as voided_minor
  from fact_payments
 where currency <> ''
 group by currency;
