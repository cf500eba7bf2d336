-- What every part keeps beside its own tables. None of it is compared after a replay: positions and
-- marks are vectors of a place in the log, the journal is a copy of the part's own topic.

-- How far each input partition is applied. The number is the truth, the offset a hint.
create table positions (
  topic text not null,
  partition int not null,
  epoch bigint not null default 0,          -- raised by each take-over: who holds an older one may not write
  next_offset bigint not null default -1,   -- read from here; -1: from the beginning
  high_water bigint not null default 0,     -- highest number applied
  fresh boolean not null default true,      -- nothing was ever applied
  primary key (topic, partition)
) with (fillfactor = 50);

-- The last number given in each shard of the part's own topic. Its row lock orders the numbers.
create table shards (
  shard int primary key,
  last_number bigint not null default 0
) with (fillfactor = 50);

-- What the relay knows: a hint, written without waiting for the disk; the log itself is the truth.
create table published (
  shard int primary key,
  number bigint not null default 0,
  record_offset bigint not null default -1
) with (fillfactor = 50);

-- Records as they are sent: a number has one content for ever. Dropped by the hour.
create table journal (
  shard int not null,
  number bigint not null,
  written_at timestamptz not null default now(),
  key bytea not null,
  headers bytea not null,
  value bytea not null
) partition by range (written_at);
create index journal_number on journal (shard, number);

-- Records that were set aside. A numbered one parks what comes later for its key.
create table dead_letters (
  id bigint generated always as identity primary key,
  topic text not null,
  partition int not null,
  record_offset bigint not null,
  number bigint,                            -- null: it had no valid one
  key bytea not null,
  headers bytea not null,
  value bytea not null,
  record_time_ms bigint not null,
  reason text not null,
  error text not null,
  attempts int not null default 1,
  copied boolean not null default false,    -- into <topic>.<group>.dlq
  created_at timestamptz not null default now()
);
create index dead_letters_key on dead_letters (key);
create index dead_letters_not_copied on dead_letters (id) where not copied;
