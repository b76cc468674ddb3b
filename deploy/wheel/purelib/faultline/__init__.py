"""Faultline as a library of tests: `with faultline.devnet() as net:`. What it holds is in deploy.testing.library.

Installed beside the packages, a copy even in an editable install: so it says no more than where the rest is.
"""

from deploy.testing.library import *  # noqa: F403
from deploy.testing.library import __all__ as __all__
