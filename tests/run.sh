#!/usr/bin/env bash
# Installs what is missing, builds everything with warnings as errors and passes the tests.
#   tests/run.sh [CTEST_ARGUMENT...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash conf/setup.sh --preset release -- -DSPOLIA_WERROR=ON
ctest --preset release -j "$(nproc)" "$@"
