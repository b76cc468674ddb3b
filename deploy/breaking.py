"""Whom a fault concerns, and asking them: what `faultline break` and tests have in common.

    name, parameters, processes named -> concerned -> devnet_break of each -> answers by process

Deliberately absent: attacks, which are played from outside (deploy.adversaries).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from deploy.adversaries.catalogue import ATTACKS
from deploy.json_rpc import RpcRefused, RpcUnavailable, call
from deploy.network import Network, ProcessPlan
from node.runtime.fault_catalogue import FAULTS
from node.runtime.fault_entries import CatalogueEntry, read_parameters

EVERYBODY: Final = "all"
"""In place of a process's name: every process that can."""

Answers = dict[str, JsonValue | RpcRefused | RpcUnavailable]
"""What each process answered, or why it did not."""


class CannotBreak(Exception):
    """A fault that is not in the catalogue, wrong parameters, or a process that cannot do it; the message says which."""


def entry_named(name: str) -> CatalogueEntry:
    """A fault of the catalogue. Raises CannotBreak."""
    for entry in FAULTS:
        if entry.name == name:
            return entry
    known = ", ".join([*(entry.name for entry in FAULTS), *(attack.name for attack in ATTACKS)])
    raise CannotBreak(f"nothing is called {name!r} in the catalogue; there are {known}")


def check(entry: CatalogueEntry, given: Mapping[str, JsonValue]) -> None:
    """Check parameters against the catalogue. Raises CannotBreak."""
    try:
        read_parameters(entry, given)
    except ValueError as error:
        raise CannotBreak(str(error)) from error


def concerned(
    network: Network,
    entry: CatalogueEntry,
    given: Mapping[str, JsonValue],
    targets: Sequence[str],
) -> list[ProcessPlan]:
    """Whom to ask: those that are named, those in a partition's groups, or the only one that can.

    Raises:
        CannotBreak: a name that no process has, one that cannot do it, or nobody named where several could.
    """
    plans = {plan.name: plan for plan in network.processes()}
    able = [name for name, plan in plans.items() if plan.role in entry.roles]
    groups = given.get("groups")
    if targets:
        wanted = able if EVERYBODY in targets else list(targets)
    elif isinstance(groups, list):
        wanted = [str(name) for group in groups if isinstance(group, list) for name in group]
    elif len(able) == 1:
        wanted = able
    elif able:
        raise CannotBreak(
            f"{entry.name}: found nobody who does it, wanted --on PROCESS, --on all (in Python on=[...])"
        )
    else:
        raise CannotBreak(f"{entry.name}: this devnet has no {' or '.join(entry.roles)}")
    asked = [_of_name(plans, name) for name in wanted]
    for plan in asked:
        if plan.name not in able:
            raise CannotBreak(f"{entry.name}: found {plan.name}, wanted {' or '.join(entry.roles)}")
    return asked


def named(network: Network, targets: Sequence[str]) -> list[ProcessPlan]:
    """The processes of these names; all of them where none is given. Raises CannotBreak for a name that no process has."""
    plans = {plan.name: plan for plan in network.processes()}
    if not targets or EVERYBODY in targets:
        return list(plans.values())
    return [_of_name(plans, name) for name in targets]


def _of_name(plans: Mapping[str, ProcessPlan], name: str) -> ProcessPlan:
    if name not in plans:
        raise CannotBreak(f"no process is named {name}; there are {', '.join(plans)}")
    return plans[name]


def ask_each(
    network: Network, plans: Sequence[ProcessPlan], method: str, parameters: Sequence[JsonValue]
) -> Answers:
    """Call a method of several processes, one after the other."""
    answers: Answers = {}
    for plan in plans:
        try:
            answers[plan.name] = call(network.rpc_url(plan), method, *parameters)
        except (RpcRefused, RpcUnavailable) as error:
            answers[plan.name] = error
    return answers
