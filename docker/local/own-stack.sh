# shellcheck shell=bash
# A stack of a script's own, for tests and benchmarks: ./check, tests/bench/, tests/chaos/run. To be sourced.

# own_stack BUILD NAME FIRST: exports TRADEWIND_STATE (a new folder), TRADEWIND_BUILD and TRADEWIND_PORT_BASE (the first
# block of free ports from FIRST on). The block is this process's until it ends, so that two that start together do not
# choose the same one; TRADEWIND_STATE is for the caller to remove.
own_stack() {
  local from=$3
  TRADEWIND_STATE=$(mktemp -d "/var/tmp/tradewind-$2.XXXXXX")
  chmod 755 "$TRADEWIND_STATE"
  TRADEWIND_BUILD=$1
  export TRADEWIND_STATE TRADEWIND_BUILD TRADEWIND_PORT_BASE
  while :; do
    TRADEWIND_PORT_BASE=$(docker/local/stack free-base "$from")
    exec {own_stack_lock}>"${TMPDIR:-/tmp}/tradewind-ports-$TRADEWIND_PORT_BASE.$UID.lock"
    ! flock -n "$own_stack_lock" || return 0
    exec {own_stack_lock}>&-
    from=$((TRADEWIND_PORT_BASE + 100))
  done
}
