-- How inputs are read, as an operator wants it (tradewind groups pause, throttle): one row, or none: as they come.
create table flow (
  one boolean primary key default true check (one),
  paused boolean not null,
  rate_per_s bigint not null,               -- records that an instance takes in a second; 0: as many as come
  changed_at timestamptz not null
);
