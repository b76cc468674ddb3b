"""`faultline break`: makes faults on purpose, plays attacks, heals, lists what there is.

NAME key=value ... --on PROCESS -> parameters checked -> devnet_break on every process that is concerned
heal [NAME] [--on PROCESS]      -> devnet_heal on every process that runs
active [--on PROCESS]           -> devnet_breaks of every process that runs
list [NAME]                     -> the catalogue
NAME of an attack key=value ... -> deploy.commands.attacking
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import orjson
from pydantic import JsonValue

from deploy.adversaries.attack import Attack
from deploy.adversaries.catalogue import ATTACKS, attack_named
from deploy.breaking import (
    Answers,
    CannotBreak,
    ask_each,
    check,
    concerned,
    entry_named,
    named,
)
from deploy.commands.attacking import play
from deploy.commands.options import (
    CommandFailed,
    WrongUse,
    data_option,
    json_option,
    layout_of,
    print_json,
    process_names,
)
from deploy.commands.running import running
from deploy.json_rpc import NobodyListens, RpcUnavailable
from deploy.network import Network, ProcessPlan
from node.runtime.fault_catalogue import FAULTS
from node.runtime.fault_entries import CatalogueEntry, Kind, Parameter

EXAMPLES: Final = "\b\n" + "\n".join(
    (
        "Examples:",
        "  faultline break list",
        "  faultline break partition groups=validator-0,validator-1/validator-2,validator-3",
        "  faultline break delay ms=900 --on validator-3",
        "  faultline break garbage-batch",
        "  faultline break hostile-step",
        "  faultline break active",
        "  faultline break heal",
    )
)
"""What `--help` shows; the first line keeps click from joining the others."""


NOBODY_ANSWERS: Final = "no process answers: is the devnet running?"
"""What is said when all that were asked are silent."""


def _words(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Completes names of the catalogue, also behind `list` and `heal`, and the keys of what was named."""
    name = context.params.get("name")
    entries: list[CatalogueEntry | Attack] = [*FAULTS, *ATTACKS]
    words = [entry.name for entry in entries]
    if name is None:
        words += ["list", "active", "heal"]
    elif name == "heal":
        words = [entry.name for entry in FAULTS]
    elif name != "list":
        words = [
            f"{one.name}=" for entry in entries if entry.name == name for one in entry.parameters
        ]
    return [word for word in words if word.startswith(incomplete)]


@click.command("break", epilog=EXAMPLES)
@click.argument("name", required=False, metavar="[NAME|list|active|heal]", shell_complete=_words)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=_words)
@click.option(
    "--list", "as_list", is_flag=True, help="List what can be broken, and what to expect."
)
@click.option(
    "--on",
    "targets",
    multiple=True,
    metavar="PROCESS",
    shell_complete=process_names,
    help="Whom to break, heal or look at; `all` for everybody.",
)
@data_option
@json_option
def break_(
    name: str | None,
    parameters: tuple[str, ...],
    targets: tuple[str, ...],
    data: Path | None,
    *,
    as_list: bool,
    as_json: bool,
) -> int:
    """Break something on purpose, play an attack, heal, or list what there is."""
    if as_list or name in (None, "list"):
        asked_for = parameters if name in (None, "list") else (name, *parameters)
        _print_catalogue(_known_name("list", asked_for), as_json=as_json)
        return 0
    assert name is not None
    network = running(layout_of(data))
    attack = attack_named(name)
    if attack is not None:
        if targets:
            raise WrongUse(f"{attack.name}: is played from outside; no process does it (--on)")
        return play(
            network, attack, _values(attack.name, attack.parameters, parameters), as_json=as_json
        )
    try:
        answers = _answers(network, name, parameters, targets)
    except CannotBreak as error:
        raise WrongUse(str(error)) from error
    _print_answers(answers, as_json=as_json)
    return 1 if any(isinstance(answer, Exception) for answer in answers.values()) else 0


def _answers(
    network: Network, name: str, parameters: Sequence[str], targets: Sequence[str]
) -> Answers:
    """What the processes say that are asked. Raises CannotBreak, WrongUse, CommandFailed."""
    if name == "active":
        if parameters:
            raise WrongUse(f"active: found {parameters[0]!r}, wanted nothing behind it")
        return _ask_running(network, targets, "devnet_breaks", [])
    if name == "heal":
        fault = _known_name("heal", parameters)
        if attack_named(fault or "") is not None:
            raise WrongUse(f"heal: found {fault!r}, wanted a fault: an attack leaves none in force")
        return _ask_running(network, targets, "devnet_heal", [] if fault is None else [fault])
    entry = entry_named(name)
    given = _values(entry.name, entry.parameters, parameters)
    check(entry, given)
    return _ask(concerned(network, entry, given, targets), network, "devnet_break", [name, given])


def _known_name(title: str, given: Sequence[str]) -> str | None:
    """The one name of the catalogue that may follow `list` and `heal`. Raises WrongUse."""
    if not given:
        return None
    if len(given) > 1:
        raise WrongUse(f"{title}: found {given[1]!r}, wanted one name at most")
    if attack_named(given[0]) is None:
        try:
            entry_named(given[0])
        except CannotBreak as error:
            raise WrongUse(f"{title}: {error}") from error
    return given[0]


def _values(
    title: str, parameters: Sequence[Parameter], given: Sequence[str]
) -> dict[str, JsonValue]:
    """KEY=VALUE pairs as JSON. Raises WrongUse for what is none."""
    kinds = {parameter.name: parameter.kind for parameter in parameters}
    values: dict[str, JsonValue] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals:
            raise WrongUse(f"{title}: found {pair!r}, wanted KEY=VALUE")
        if key in values:
            raise WrongUse(f"{title}: parameter {key!r}: found it twice, wanted it once")
        values[key] = _value(kinds.get(key), text)
    return values


def _value(kind: Kind | None, text: str) -> JsonValue:
    """JSON as it is; lists also as a,b and lists of lists as a,b/c,d."""
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        if kind is Kind.GROUPS:
            return [list[JsonValue](group.split(",")) for group in text.split("/")]
        if kind is Kind.SLOTS:
            return [int(slot) if slot.isdecimal() else slot for slot in text.split(",")]
        return text
    return [value] if kind is Kind.SLOTS and isinstance(value, int) else value


def _ask(
    plans: Sequence[ProcessPlan], network: Network, method: str, parameters: list[JsonValue]
) -> Answers:
    answers = ask_each(network, plans, method, parameters)
    if all(isinstance(answer, RpcUnavailable) for answer in answers.values()):
        raise CommandFailed(NOBODY_ANSWERS)
    return answers


def _ask_running(
    network: Network, targets: Sequence[str], method: str, parameters: list[JsonValue]
) -> Answers:
    """Ask those named, or everybody. Where nobody listens nothing is broken: a process's faults end with it.

    Raises:
        CannotBreak: a name that no process has.
        CommandFailed: when nobody answers at all.
    """
    answers = ask_each(network, named(network, targets), method, parameters)
    down = [name for name, answer in answers.items() if isinstance(answer, NobodyListens)]
    if len(down) == len(network.processes()):
        raise CommandFailed(NOBODY_ANSWERS)
    for name in down:
        click.echo(f"{name}: does not run, so nothing is broken there", err=True)
    nothing: Answers = {name: [] for name in down}
    return {**answers, **nothing}


def _print_answers(answers: Answers, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                name: {"error": str(answer)} if isinstance(answer, Exception) else answer
                for name, answer in answers.items()
            }
        )
        return
    for name, answer in answers.items():
        if isinstance(answer, Exception):
            click.echo(f"{name}: refused: {answer}", err=True)
        else:
            click.echo(f"{name}: {orjson.dumps(answer).decode()}")


def _print_catalogue(only: str | None, *, as_json: bool) -> None:
    faults = [entry for entry in FAULTS if only in (None, entry.name)]
    attacks = [attack for attack in ATTACKS if only in (None, attack.name)]
    if as_json:
        described = [entry.described() for entry in faults]
        print_json(described + [attack.described() for attack in attacks])
        return
    if faults:
        click.echo("What a process can do wrong:\n")
    for entry in faults:
        click.echo(f"{entry.name} ({', '.join(entry.roles)}): {entry.summary}")
        _print_parameters(entry.parameters)
        click.echo(f"    expect: {entry.expect}")
        click.echo(f"    heals: {entry.heals}\n")
    if attacks:
        click.echo("What can be tried from outside, played to its end:\n")
    for attack in attacks:
        click.echo(f"{attack.name}: {attack.summary}")
        _print_parameters(attack.parameters)
        click.echo(f"    expect: {attack.expect}")
        click.echo(f"    leaves: {attack.leaves}\n")


def _print_parameters(parameters: Sequence[Parameter]) -> None:
    for parameter in parameters:
        unit = f" [{parameter.unit}]" if parameter.unit else ""
        need = " (required)" if parameter.is_required else f" (default {parameter.default})"
        need = "" if not parameter.is_required and parameter.default is None else need
        words = f" {', '.join(parameter.choices)}" if parameter.choices else ""
        click.echo(f"    {parameter.name}{unit}:{words} {parameter.help}{need}")


COMMANDS: Final = {"break": break_}
"""What this module holds."""
