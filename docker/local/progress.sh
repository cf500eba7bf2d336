# shellcheck shell=bash
# Says what is being done. Sourced by setup, quickstart and check.
#
# A job is a name and a command. Its output goes to a log; what the person sees is the name with the time it took so
# far, and, when it fails, the end of the log. Jobs that do not need each other are announced with `job` and run
# together by `run_jobs`; `step` runs one. When a job fails these end the script; `try_jobs` and `try_step` return.
# A job may be a function of the script; it sees the script's functions and its exported variables.

progress_logs=$(mktemp -d "${TMPDIR:-/tmp}/tradewind-progress.XXXXXX")
job_names=() job_commands=() job_pids=()

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
  progress_live=1 bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  progress_live=0 bold='' dim='' green='' red='' plain=''
fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
give_up() { fail "$failed_job failed: see above; ${failure_hint:-mend it and start again, what is done is kept}"; }
fail() { printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2; exit 1; }

# Children live in process groups of their own, so an interrupt has to be handed on to them.
progress_clean() {
  local pid
  for pid in "${job_pids[@]}"; do
    [ -n "$pid" ] && kill -- "-$pid" 2>/dev/null
  done
  rm -rf "$progress_logs"
}
trap progress_clean EXIT
trap 'echo; echo "interrupted" >&2; exit 130' INT
trap 'exit 143' TERM

job() {
  job_names+=("$1")
  job_commands+=("$2")
}

step() { try_step "$@" || give_up; }

# Like step, but the caller goes on.
try_step() {
  local name=$1
  shift
  job "$name" "$(printf '%q ' "$@")"
  try_jobs
}

run_jobs() { try_jobs || give_up; }

# One line for each job that ends, one live line for those that run. Without a terminal the live line is said at two
# seconds, and then each half minute.
try_jobs() {
  local i started=$SECONDS waiting=${#job_names[@]} failed='' spoken=2
  declare -f >"$progress_logs/functions"
  set -m
  for i in "${!job_names[@]}"; do
    # A shell of its own: in a subshell `set -e` would be off whenever a caller looks at the result.
    bash -euo pipefail -c ". '$progress_logs/functions'; ${job_commands[$i]}" </dev/null >"$progress_logs/$i" 2>&1 &
    job_pids[i]=$!
  done
  set +m
  while [ "$waiting" -gt 0 ]; do
    for i in "${!job_names[@]}"; do
      if [ -n "${job_pids[i]}" ] && ! kill -0 "${job_pids[i]}" 2>/dev/null; then
        job_ended "$i" $((SECONDS - started)) || failed="$failed$i "
        waiting=$((waiting - 1))
      fi
    done
    [ "$waiting" = 0 ] || { progress_line "$started"; sleep 0.1; }
  done
  for i in $failed; do
    printf '\n%sthe end of what "%s" said:%s\n' "$bold" "${job_names[i]}" "$plain" >&2
    tail -n 25 "$progress_logs/$i" >&2
  done
  failed_job=''
  [ -z "$failed" ] || failed_job=${job_names[${failed%% *}]}
  job_names=() job_commands=() job_pids=()
  [ -z "$failed_job" ]
}

job_ended() {
  local i=$1 elapsed=$2 rc=0
  wait "${job_pids[i]}" || rc=$?
  job_pids[i]=''
  [ "$progress_live" = 0 ] || printf '\r\e[K'
  if [ "$rc" = 0 ]; then
    printf '  %sdone%s  %s %s(%s s)%s\n' "$green" "$plain" "${job_names[i]}" "$dim" "$elapsed" "$plain"
  else
    printf '  %sFAILED%s  %s (%s s, exit %s)\n' "$red" "$plain" "${job_names[i]}" "$elapsed" "$rc"
  fi
  return "$rc"
}

progress_line() {
  local i names='' elapsed=$((SECONDS - $1)) last
  for i in "${!job_names[@]}"; do
    [ -z "${job_pids[i]}" ] || { names="$names${names:+, }${job_names[i]}"; last=$i; }
  done
  if [ "$progress_live" = 1 ]; then
    local text="$names: $elapsed s  "
    local width=$(($(tput cols 2>/dev/null || echo 80) - 6 - ${#text}))
    local said
    said=$(tail -c 400 "$progress_logs/$last" | tr '\r' '\n' | tr -cd '[:print:]\n' | tail -n 1)
    [ "$width" -gt 0 ] || width=0
    printf '\r\e[K  ...   %s%s%s%s' "$text" "$dim" "${said:0:$width}" "$plain"
  elif [ "$elapsed" -ge "$spoken" ]; then
    printf '  ...   %s: %s s\n' "$names" "$elapsed"
    spoken=$((spoken < 30 ? 30 : spoken + 30))
  fi
}
