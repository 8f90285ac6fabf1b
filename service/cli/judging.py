"""`sameas judge`: say that records are the same customer, or not, and take that back."""

from __future__ import annotations

from typing import Annotated

import typer

from identity.model import Verdict
from service.cli.session import open_identity, os_author, parse_ref

__all__ = ["judge_app", "judge_different", "judge_same", "withdraw"]

judge_app = typer.Typer(no_args_is_help=True, help="Judge records: the same customer, or not.")

Left = Annotated[list[str], typer.Option(metavar="SOURCE/KEY", help="May be repeated.")]
Right = Annotated[list[str], typer.Option(metavar="SOURCE/KEY", help="May be repeated.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the judgement, so no personal data.")]


@judge_app.command("same")
def judge_same(left: Left, right: Right, reason: Reason) -> None:
    """Join all named records into one customer.

    Example: sameas judge same --left crm/71 --right erp/90 --reason "ticket 4711"
    """
    _judge(Verdict.SAME, left, right, reason=reason)


@judge_app.command("different")
def judge_different(left: Left, right: Right, reason: Reason) -> None:
    """Part each record on the left from each on the right.

    Example: sameas judge different --left crm/71 --right erp/91 --reason "father and son"
    """
    _judge(Verdict.DIFFERENT, left, right, reason=reason)


@judge_app.command("withdraw")
def withdraw(judgement_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Withdraw a judgement; what holds without it holds again.

    Example: sameas judge withdraw 0199d2a4-6f3a-7c1e-9d27-5b8e3a1f0c42
    """
    with open_identity() as identity:
        identity.withdraw_judgement(judgement_id, author=os_author())
    typer.echo(f"judgement {judgement_id} withdrawn")


def _judge(verdict: Verdict, left: list[str], right: list[str], *, reason: str) -> None:
    sides = [[parse_ref(text) for text in side] for side in (left, right)]
    with open_identity() as identity:
        typer.echo(identity.judge(verdict, sides[0], sides[1], reason=reason, author=os_author()))
