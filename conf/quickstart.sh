#!/usr/bin/env bash
# The main job in one command: installs what is missing, builds the programs, then ingests the
# documents of conf/demo and answers questions from cached chunks, with the times shown.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash conf/setup.sh --target spolia --target spoliad --target spolia-engine
exec bash conf/demo.sh
