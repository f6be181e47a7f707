#!/usr/bin/env bash
# The long forms of tests, which take hours: tests/long.sh [NAME ...], all without a name.
# Builds what is missing; prints how long each took. A failure names its seed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=(simulation standstill kills damage recycling ring failures disconnects volume fuzz)
# Of the codec, and of model files: ten minutes each.
fuzzers=(lossy profile stream round_trip header entropy safetensors gguf template)

fuzz() {  # fuzzer, seconds; the seed is another one each time
  local corpus=tests/golden/codec seed=${SPOLIA_SEED:-$RANDOM}
  case "$1" in
    lossy | profile) corpus= ;;  # make their own
    safetensors) corpus=tests/golden/engine/llama_linear/model.safetensors ;;
    template) corpus=$(echo tests/golden/engine/jinja/families/*.jinja) ;;
    gguf) corpus=$(echo tests/golden/engine/gguf_{seeds/*,qwen2_q4_0/*}.gguf) ;;
  esac
  echo "fuzz_$1 --seed $seed"
  "build/asan+ubsan/tests/fuzz_$1" --runs 1000000000 --seconds "$2" --seed "$seed" $corpus
}

long() {  # name: what runs
  local server=build/release/tests/server_tests e2e=build/release/tests/e2e_tests
  case "$1" in
    simulation) SPOLIA_SIM_SEEDS=100000 $server --gtest_filter='*KeepItsPromises*' ;;
    standstill) SPOLIA_SIM_SEEDS=10000 $server --gtest_filter='*Standstill.*' ;;
    kills) SPOLIA_KILLS=1000 $server --gtest_filter='KillNine.*' ;;
    damage) SPOLIA_DAMAGE_TRIALS=10000 $server --gtest_filter='Damage.*' ;;
    recycling) SPOLIA_RECYCLE_OVERWRITES=1000000 $server --gtest_filter='DelayedReads.NoRead*' ;;
    ring) SPOLIA_RING_REQUESTS=10000000 $server --gtest_filter='UringFaults.*' ;;
    failures) SPOLIA_SIM_FAILURES=2000 $server --gtest_filter='*EachWriteAndSyncFailsOnce' ;;
    volume) SPOLIA_VOLUME_MINUTES=10 $server --gtest_filter='*FullVolume.*' ;;
    disconnects) SPOLIA_DISCONNECTS=100000 $e2e --gtest_filter='Disconnects.*' ;;
    fuzz) for fuzzer in "${fuzzers[@]}"; do fuzz "$fuzzer" 600; done ;;
    *) echo "tests/long.sh: $1: expected one of ${names[*]}" >&2; exit 2 ;;
  esac
}

for name in "$@"; do [[ " ${names[*]} " == *" $name "* ]] || long "$name"; done
wanted=" ${*:-${names[*]}} "
if [[ $wanted == *' fuzz '* ]]; then
  targets=()
  for fuzzer in "${fuzzers[@]}"; do targets+=(--target "fuzz_$fuzzer"); done
  bash conf/setup.sh --preset asan+ubsan "${targets[@]}"
fi
if [[ $wanted != ' fuzz ' ]]; then
  bash conf/setup.sh --target server_tests --target e2e_tests --target spoliad
fi
for name in "${@:-${names[@]}}"; do
  SECONDS=0
  long "$name"
  printf '%s: passed in %s s\n' "$name" "$SECONDS"
done
