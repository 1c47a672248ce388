#!/bin/sh
# A Google Benchmark program by its command line and its files, whose times come from a file: no test waits for a clock.
# SPDX-License-Identifier: MIT
# Beside it, in "$0.plan", a line for each benchmark: NAME NS [error TEXT | skip TEXT | crash | torn | nan | endless].
# A time varies by up to 1.2%, with the number of launches so far.
filter='' list='' out='' count=''
for word; do
  case $word in
    --benchmark_list_tests=true) list=1 ;;
    --benchmark_filter=*) filter=${word#*=} ;;
    --benchmark_out=*) out=${word#*=} ;;
    --benchmark_min_time=*x) count=${word#*=} ;;
    --benchmark_*) ;;
    *) printf '%s\n' "$word" >>"$0.arguments" ;;
  esac
done
[ -z "$count" ] || [ -n "$list" ] || { echo "error: unrecognized command-line flag: --benchmark_min_time=$count" >&2; exit 1; }
name=$(printf '%s' "$filter" | sed 's/^\^//; s/\$$//; s/\\//g')
launches=$(cat "$0.launches" 2>/dev/null || echo 0)
if [ -n "$list" ]; then
  while read -r its _; do
    case $its in *"$name"*) printf '%s\n' "$its" ;; esac
  done <"$0.plan"
  exit 0
fi
echo $((launches + 1)) >"$0.launches"
entries='' index=0
while read -r its ns how text; do
  index=$((index + 1))
  [ "$its" = "$name" ] || continue
  head=$(printf '{"name": "%s", "run_name": "%s", "run_type": "iteration", "family_index": %d, "per_family_instance_index": 0, "repetition_index": 0, "threads": 1, "iterations": 100' "$its" "$its" "$index")
  time=$((ns * (1000 + launches * launches * 7 % 13)))
  case $how in
    error) entry="$head, \"error_occurred\": true, \"error_message\": \"$text\", \"real_time\": 0, \"cpu_time\": 0, \"time_unit\": \"ns\"}" ;;
    skip) entry="$head, \"skipped\": true, \"skip_message\": \"$text\", \"real_time\": 0, \"cpu_time\": 0, \"time_unit\": \"ns\"}" ;;
    crash) kill -SEGV $$ ;;
    torn) printf '{"context": {}, "benchmarks": [%s' "$head" >"$out"; kill -ABRT $$ ;;
    nan) entry="$head, \"real_time\": NaN, \"cpu_time\": NaN, \"time_unit\": \"ns\"}" ;;
    endless) exec sleep 3600 ;;
    *) entry="$head, \"real_time\": ${time}e-3, \"cpu_time\": ${time}e-3, \"time_unit\": \"ns\"}" ;;
  esac
  entries="$entries${entries:+, }$entry"
done <"$0.plan"
if [ -z "$entries" ]; then
  : >"$out"
  echo "Failed to match any benchmarks against regex: $filter" >&2
  exit 0
fi
printf '{"context": {"library_build_type": "release"}, "benchmarks": [%s]}\n' "$entries" >"$out"
