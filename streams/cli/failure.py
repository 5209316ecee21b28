"""The one way in which a command says that it could not do its job.

In: a sentence. Out: an exception that `main` prints without a traceback. Never: a fault of our own code.
"""

from __future__ import annotations


class Failure(Exception):
    """The command failed for a reason that its user can mend; the message is one sentence, without a full stop."""


class Misuse(Failure):
    """The command line can't be taken: exit status 2."""
