"""How many examples the laws try: few, the same each time; with the profile `thorough` ten times as many, drawn anew.

So a change is not held up by a rare case that it has nothing to do with: whoever draws anew looks for those.

In:    the profile that is loaded (`--hypothesis-profile=thorough`, registered in tests/conftest.py).
Out:   `law`, a decorator.
Never: a change of another test's settings.
"""

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_THOROUGH = settings.get_current_profile_name() == "thorough"

law = settings(
    max_examples=500 if _THOROUGH else 50, derandomize=not _THOROUGH, deadline=None, suppress_health_check=_SLOW
)
