"""Faultline as a library of tests: `with faultline.devnet() as net:`. What it holds is in deploy.testing.library.

Installed beside the packages, a copy even in an editable install: so it says no more than where the rest is.
"""

try:
    from deploy.testing.library import *  # noqa: F403
    from deploy.testing.library import __all__ as __all__
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] not in {"node", "sequencer", "bridge", "deploy"}:
        raise
    raise ImportError(
        f"{error}: node, sequencer, bridge and deploy are packages of Faultline, and a module of this project has such a name. "
        "Rename that one, or run the tests as `faultline exec -- COMMAND`, which tells them everything by environment variables."
    ) from error
