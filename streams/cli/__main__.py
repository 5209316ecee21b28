"""`python -m streams.cli`: the same as `siyu`.

In: arguments. Out: an exit status. Never: anything else.
"""

import sys

from streams.cli.main import main

sys.exit(main())
