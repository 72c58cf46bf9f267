#!/usr/bin/env bash
# Runs the built-in tdd workflow on a copy of examples/timesheet, with recorded agents, and merges the result.
# The agents are played from examples/timesheet/cassette; git, the gates and everything else are real.
#
# usage: examples/demo.sh DIRECTORY [CASSETTE [PYTEST OPTION...]]
# The directory is emptied first. pytest, gump and ruff of the wanted environment are on PATH.
set -euo pipefail

example=$(cd "$(dirname "${BASH_SOURCE[0]}")/timesheet" && pwd)
mkdir -p "${1:?usage: examples/demo.sh DIRECTORY [CASSETTE [PYTEST OPTION...]]}"
scratch=$(cd "$1" && pwd)
cassette=$(cd "${2:-$example/cassette}" && pwd)
shift $(($# < 2 ? $# : 2))
project=$scratch/timesheet

rm -rf "$project" "$scratch/cache"
mkdir -p "$project"
(cd "$example" && tar -cf - --exclude=./cassette --exclude=__pycache__ .) | (cd "$project" && tar -xf -)
cd "$project"
git init --quiet --initial-branch=main
git add --all
git -c user.name=demo -c user.email=demo@localhost -c commit.gpgsign=false commit --quiet -m "A log of working hours"

# Worktrees go beside the project instead of into the user's cache, so that removing the directory removes everything.
export XDG_CACHE_HOME=$scratch/cache

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

show pytest --gump-workflow=tdd spec.md "--gump-replay=$cassette" "--gump-replay-delay=${DEMO_DELAY:-0}" "$@"
show gump apply
show python -m pytest -q

cat <<END

The project is in $project. Look around there, with $(dirname "$(command -v gump)") on your PATH:
  gump report                        cost, tokens and time of every attempt
  gump log 'build::impl[billing]'    one step: prompt, what the agent did, output of its gates
  git log --oneline --graph          one commit for each step
END
