"""`framefuse topics acls`: the rights of each stage and client, as commands, as JSON, or granted at once."""

import json
import shlex
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from framefuse.cli.options import AsJson, Bootstrap, Prefix

if TYPE_CHECKING:
    from framefuse.rights import Right, Role

RoleNames = Annotated[
    list[str] | None, typer.Option("--role", help="Only this stage or client; may be given again.")
]
Principal = Annotated[
    str, typer.Option(help="What the broker calls each; '{role}' stands for the stage or client.")
]
Apply = Annotated[
    bool,
    typer.Option("--apply", help="Grant them, as a user who may alter the cluster; takes no right away."),
]


def acls(
    *,
    role: RoleNames = None,
    principal: Principal = "User:framefuse-{role}",
    apply: Apply = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """The rights that every stage and client needs in a Kafka with an authorizer: one principal each.

    Prints commands of Kafka's own kafka-acls.sh, which $ADMIN tells where the broker is and who you are
    ('--bootstrap-server kafka:9093 --command-config admin.properties'), or grants the rights itself.

    [cyan]framefuse topics acls[/cyan]

    [cyan]framefuse topics acls --role detection --principal 'User:CN={role},O=Cameras'[/cyan]

    [cyan]framefuse topics acls --apply --bootstrap kafka:9093[/cyan]
    """
    from framefuse.settings import KafkaSettings, load

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    chosen = _chosen(kafka.prefix, role)
    named = [(one, principal.replace("{role}", one.name)) for one in chosen]
    if apply:
        from framefuse.kafka.acls import grant

        count = grant(kafka, [(name, right) for one, name in named for right in one.rights])
        if not as_json:
            Console(soft_wrap=True, highlight=False).print(
                f"{count} rights granted to {', '.join(name for _, name in named)}"
            )
    if as_json:
        print(json.dumps([_as_json(one, name) for one, name in named]))
    elif not apply:
        for one, name in named:
            print(f"# {one.name}: framefuse {one.does}")
            for alike, together in groupby(one.rights, _alike):
                print(_command(name, alike, [right.name for right in together]))


def _chosen(prefix: str, names: list[str] | None) -> "list[Role]":
    from framefuse import plugins
    from framefuse.errors import BadInput
    from framefuse.rights import roles

    every = roles(prefix, [plugins.load_stage(name) for name in plugins.names(plugins.STAGES)])
    unknown = set(names or ()) - {one.name for one in every}
    if unknown:
        raise BadInput(
            f"no role {', '.join(sorted(unknown))}: there are {', '.join(one.name for one in every)}"
        )
    return [one for one in every if not names or one.name in names]


def _alike(right: "Right") -> tuple[str, tuple[str, ...], bool]:
    """What rights must share to stand in one command."""
    return right.resource.value, right.operations, right.prefixed


def _command(principal: str, alike: tuple[str, tuple[str, ...], bool], names: list[str]) -> str:
    resource, operations, prefixed = alike
    parts = ["--add", "--allow-principal", principal]
    for operation in operations:
        parts += ["--operation", operation]
    for name in names:
        parts += [f"--{resource}", name] if resource != "cluster" else ["--cluster"]
    if prefixed:
        parts += ["--resource-pattern-type", "prefixed"]
    return f"kafka-acls.sh $ADMIN {shlex.join(parts)}"


def _as_json(role: "Role", principal: str) -> dict[str, object]:
    return {
        "role": role.name,
        "principal": principal,
        "does": role.does,
        "rights": [
            {
                "resource": right.resource.value,
                "name": right.name,
                "prefixed": right.prefixed,
                "operations": list(right.operations),
            }
            for right in role.rights
        ],
    }
