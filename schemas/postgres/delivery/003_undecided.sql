-- A part looks for inputs that a replay has left to be decided, also when there are many dead letters of other kinds.
create index dead_letters_undecided on dead_letters (id) where reason = 'undecided';
