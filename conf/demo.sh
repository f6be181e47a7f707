#!/usr/bin/env bash
# The main job, shown: ingests the documents of conf/demo, asks the questions of
# conf/demo/questions.tsv with `full` and `first-k`, first with the store in the engine's own process,
# then through a spoliad that it starts and stops. Fails when an answer is wrong.
#   conf/demo.sh [BUILD_DIRECTORY]     default: $SPOLIA_BUILD, else build/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${1:-${SPOLIA_BUILD:-build/release}}
engine=$build/engine/spolia-engine
server=$build/server/spoliad
model=engine/models/micro
documents=conf/demo
for program in "$engine" "$server"; do
  [ -x "$program" ] || {
    echo "demo.sh: no program $program, expected a finished build in '$build'" >&2
    exit 2
  }
done

work=$(mktemp -d)
server_pid=
stop() {
  if [ -n "$server_pid" ]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
  fi
}
trap 'stop; rm -rf "$work"' EXIT

# Waits for the server's line on where it listens, and says the address.
server_address() {
  local line
  while read -r -t 20 line <&3; do
    case $line in
      'listening on spolia://'*) echo "${line#listening on }" ;;
      ready) return 0 ;;
      *) echo "spoliad: $line" >&2 ;;
    esac
  done
  echo "demo.sh: spoliad did not start" >&2
  return 1
}

wrong=0
ask_all() {  # flags that say where the chunks are
  local question answer table line given method hits
  while IFS=$'\t' read -r question answer; do
    table=$("$engine" ask --model "$model" "$@" --docs "$documents/*" --method full,first-k \
      --max-tokens 16 --table "$question")
    printf '\n%s\n%s\n' "$question" "$table"
    while read -r line; do
      read -r method hits _ <<< "$line"
      given=${line##*  }
      if [ "$given" != "$answer" ]; then
        echo "WRONG: expected '$answer'"
        wrong=$((wrong + 1))
      elif [ "$method" = first-k ] && [ "${hits%/*}" != "${hits#*/}" ]; then
        echo "WRONG: not every chunk came from the store"
        wrong=$((wrong + 1))
      fi
    done <<< "$(tail -n +2 <<< "$table")"
  done < "$documents/questions.tsv"
}

echo "== The store in the engine's own process"
"$engine" ingest --model "$model" --store "$work/embedded" --chunk-tokens 128 "$documents"/*.txt
ask_all --store "$work/embedded"

echo
echo "== The same through a server"
mkfifo "$work/says"
"$server" --store "$work/served" --listen 127.0.0.1:0 > "$work/says" &
server_pid=$!
exec 3< "$work/says"
address=$(server_address)
"$engine" ingest --model "$model" --cache "$address" --chunk-tokens 128 "$documents"/*.txt
ask_all --cache "$address"
stop
exec 3<&-

echo
if [ "$wrong" -gt 0 ]; then
  echo "$wrong of the results are wrong" >&2
  exit 1
fi
echo "All answers are right."
