#!/usr/bin/env bash
# Runs the built-in tdd workflow on a copy of examples/timesheet, with recorded agents, and merges the result.
# The agents are replayed from examples/timesheet/cassette. Git, the gates and the merge are real.
#
# usage: examples/demo.sh DIRECTORY [CASSETTE [PYTEST OPTION...]]
# The folders `timesheet` and `cache` in DIRECTORY are deleted first. pytest, gump and ruff must be on PATH.
set -euo pipefail

example=$(cd "$(dirname "${BASH_SOURCE[0]}")/timesheet" && pwd)
mkdir -p "${1:?usage: examples/demo.sh DIRECTORY [CASSETTE [PYTEST OPTION...]]}"
scratch=$(cd "$1" && pwd)
cassette=$(cd "${2:-$example/cassette}" && pwd)
shift $(($# < 2 ? $# : 2))
project=$scratch/timesheet
shown=${project#"$PWD"/}

cat <<END

This runs the workflow tdd on a small Python project in $shown.
An agent splits spec.md into three changes. For each change, an agent writes
tests, then an agent writes code until the tests pass. The result is merged.

The agents and their costs come from a recording: no account, no cost.
Git, the tests after each attempt, and the merge are real.
✓ passed   ⟳ failed, retried with the failure in the next prompt
END

rm -rf "$project" "$scratch/cache"
mkdir -p "$project"
(cd "$example" && tar -cf - --exclude=./cassette --exclude=__pycache__ .) | (cd "$project" && tar -xf -)
cd "$project"
git init --quiet --initial-branch=main
git add --all
git -c user.name=demo -c user.email=demo@localhost -c commit.gpgsign=false commit --quiet -m "A log of working hours"

# Worktrees are created in the folder of the demo instead of the user's cache, so deleting it deletes everything.
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
Next, show the cost of each attempt, and the last attempt of one step:

  cd $shown
  $gump report
  $gump log 'build::impl[billing]'
END
