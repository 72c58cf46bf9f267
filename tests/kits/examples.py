"""The number of examples of a property, by hypothesis profile."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, Phase, settings

PROFILES: Final = {"dev": 10, "ci": 100, "deep": 2000}
"""Examples of a property without its own number. `make test` uses `dev`, `make test-properties` uses `ci`;
`make test PYTEST_ARGS=--hypothesis-profile=deep` takes hours.
"""
SPEED: Final = (HealthCheck.too_slow,)
"""Health checks that depend on the speed of the machine; a loaded machine generates input slowly."""


def register_profiles() -> None:
    for name, count in PROFILES.items():
        settings.register_profile(
            name, max_examples=count, deadline=None, suppress_health_check=SPEED, print_blob=True, derandomize=False
        )
    settings.load_profile("dev")
    # tools/mutants.py: the same examples in each run, and no search for the shortest one that fails.
    same = settings.get_profile("dev")
    settings.register_profile("mutants", same, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))


def examples(count: int, *suppressed: HealthCheck) -> settings:
    """Settings with `count` examples in the profile `ci`, a tenth of them in `dev`, 20 times as many in `deep`."""
    scaled = max(1, count * settings().max_examples // PROFILES["ci"])
    return settings(max_examples=scaled, suppress_health_check=(*SPEED, *suppressed))
