"""What one step of a journey does by itself: where it leads if it takes no time, else until when.

In: a run at a step, its person. Out: the next step, or an instant; a tag. Never: a move; a message.
"""

from __future__ import annotations

from streams.delivery.calendar import next_at
from streams.delivery.holdout import in_share
from streams.engage.profile import Profiles
from streams.engage.runs import Run
from streams.engage.sending import Sending
from streams.rules.branches import Context
from streams.rules.course import Course
from streams.rules.steps import JourneyStep


class Stepping:
    """Asks the person of a run, as they are when the step is reached."""

    def __init__(self, profiles: Profiles, sending: Sending) -> None:
        self._profiles = profiles
        self._sending = sending

    def leads(self, run: Run, course: Course, spec: JourneyStep) -> str | None:
        """Does a step that takes no time, and says where it leads; None for one that takes time."""
        if spec.tag is not None:
            self._profiles.tags.put(run.nodes[0], spec.tag, run.since_ms)
            return course.next(run.step)
        if spec.branch is not None:
            return course.way(run.step, self._context(run))
        if spec.split is not None:
            return self._side(run, spec) or course.next(run.step)
        return None

    def _side(self, run: Run, spec: JourneyStep) -> str | None:
        """The side of a split: by a hash of the person, so it is the older one's after a merge."""
        one_id, _ = self._profiles.person(run.nodes)
        upto = 0.0
        for share in spec.split or ():
            upto += share.percent
            if in_share(one_id, f"split:{run.rule}:{run.step}", upto):
                return share.then
        return None

    def _context(self, run: Run) -> Context:
        nodes = self._profiles.around(run.nodes)

        def trait(name: str) -> str | None:
            told = self._profiles.traits.of(nodes, name)
            return None if told is None else told.value

        return Context(dict(run.held), self._profiles.tags.of(nodes), trait, dict(run.path))

    def due(self, run: Run, spec: JourneyStep) -> int:
        """Until when a step waits that began at the run's `since_ms`."""
        if spec.wait_until is not None:
            zone = self._profiles.zone(self._profiles.around(run.nodes), self._sending.policies.of(run.tenant))
            return next_at(spec.wait_until, run.since_ms, zone)
        length = spec.wait if spec.wait is not None else spec.wait_for.within if spec.wait_for is not None else 0
        return run.since_ms + length
