"""How many examples the laws try: few while working, ten times as many with the Hypothesis profile `thorough`.

In:    the profile that is loaded (`--hypothesis-profile=thorough`, registered in tests/conftest.py).
Out:   `law`, a decorator.
Never: a change of another test's settings.
"""

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_EXAMPLES = 500 if settings.get_current_profile_name() == "thorough" else 50

law = settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=_SLOW)
