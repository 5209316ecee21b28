"""What the pure engine is told of the settings.

In: settings. Out: an `EngineConfig`. Never: a setting that is read later, or by the engine itself.
"""

from __future__ import annotations

from streams.engine import EngineConfig
from streams.rules.book import Known
from streams.settings import Settings


def engine_config(settings: Settings) -> EngineConfig:
    """The configuration under which live run, backtest and replay fold alike."""
    return EngineConfig(
        salt=settings.salt.get_secret_value().encode(),
        dedup_window_ms=settings.engine.dedup_window_ms,
        known=Known(settings.sources, settings.triggers),
        most_faults=settings.worker.most_faults,
    )
