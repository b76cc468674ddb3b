"""What pytest loads in every run of an environment that has Faultline: deploy/testing/plugin.py, by its place.

Not by its name, which would import `deploy` before the tests do, and theirs may have a `deploy.py` of their own.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

# Beside this package, or where an editable install points to.
_folders = [Path(__file__).parents[1], *map(Path, sys.path)]
_places = [folder / "deploy" / "testing" / "plugin.py" for folder in _folders]
_spec = spec_from_file_location(__name__, next(place for place in _places if place.is_file()))
assert _spec is not None
assert _spec.loader is not None
sys.modules[__name__] = module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[__name__])
