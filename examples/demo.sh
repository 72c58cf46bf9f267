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
shown=${project#"$PWD"/}

cat <<END

The workflow tdd on a small Python project in $shown:
one agent splits spec.md into three changes; for each of them, one agent writes
tests and one writes code until the tests pass; the result is merged.

The agents are played from a recording, their dollars too: no account, no cost.
The rest is real: git, pytest as the check of every attempt, the merge.
✓ passed   ⟳ failed, and retried with the failure in its prompt
END

rm -rf "$project" "$scratch/cache"
mkdir -p "$project"
(cd "$example" && tar -cf - --exclude=./cassette --exclude=__pycache__ .) | (cd "$project" && tar -xf -)
cd "$project"
git init --quiet --initial-branch=main
git add --all
git -c user.name=demo -c user.email=demo@localhost -c commit.gpgsign=false commit --quiet -m "A log of working hours"

# Worktrees go into the folder of the demo instead of the user's cache: removing it removes everything.
export XDG_CACHE_HOME=$scratch/cache

from_project() {
    python -c 'import os, sys; print(os.path.relpath(sys.argv[1]))' "$1"
}

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

replay=("--gump-replay=$(from_project "$cassette")" "--gump-replay-delay=${DEMO_DELAY:-0}" "$@")
printf '\n$ pytest --gump-workflow=tdd spec.md \\\n      %s\n' "${replay[*]}"
pytest --gump-workflow=tdd spec.md "${replay[@]}"
show gump apply
show python -m pytest -q

gump=$(from_project "$(command -v gump)")
cat <<END

Done: three changes are merged into the project, and its tests pass.
Two commands to try next, for the cost of each attempt and the story of one:

  cd $shown
  $gump report
  $gump log 'build::impl[billing]'
END
