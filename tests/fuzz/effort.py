"""How long the fuzz looks: a few examples a test in CI, always the same ones; as many new ones as `make fuzz` says.

A failing example of `make fuzz` is kept in .hypothesis and tried first by the next one; whoever mends it writes it down
as an @example or a test of its own, because CI starts from nothing.
"""

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Examples a test; 0: the few of CI."""

_IN_CI = 100


def fuzzed(*, share: float = 1.0) -> settings:
    """Return the settings of one fuzz test; ``share`` is less than 1 where one example is slow."""
    return settings(
        max_examples=max(1, int((EXAMPLES or _IN_CI) * share)),
        derandomize=not EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
