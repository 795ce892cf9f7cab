"""Loads wallets and their SIMs from a YAML file, a list of such entries.

    - {tenant: demo, wallet: acme, account: acme, currency: EUR, balance: "50.00", plan: payg-eur, zone: Europe/Berlin,
       sims: [{iccid: "8988...", imsi: "2624...", msisdn: "+49..."}]}

Safe to repeat: each wallet's creation and each SIM's joining has an identity of its own. A SIM without an id of its own
(`subscriber`) goes by its ICCID.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta

from rater.directory import Directory
from rater.errors import WalletError
from rater.subscriber import Assignment, Subscriber
from rater.wallet.command import entry_of
from rater.wallet.entry import Stale
from rater.wallet.store import WalletStore
from schemas.commands import WalletCommand

#: Wallets or SIMs in one call.
PAGE = 2000
#: SIMs loaded without a date have been with their wallet for ever.
FOR_EVER_MS = 0

Text = Annotated[str, Meta(min_length=1, max_length=256)]


class SimForm(msgspec.Struct, forbid_unknown_fields=True):
    """A SIM as the file gives it."""

    subscriber: str = ""
    iccid: str = ""
    imsi: str = ""
    msisdn: str = ""


class WalletForm(msgspec.Struct, forbid_unknown_fields=True):
    """A wallet as the file gives it; `balance` and `floor` are exact decimal strings."""

    tenant: Text
    wallet: Text
    currency: Text
    plan: Text
    account: str = ""
    balance: str = "0"
    floor: str = "0"
    zone: str = ""
    sims: list[SimForm] = []


def read_wallets(path: Path) -> list[WalletForm]:
    """Read the file.

    Raises:
        WalletError: it is not what the form above says; names the field.
    """
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return msgspec.convert(yaml.load(path.read_text(), loader), list[WalletForm])  # noqa: S506 - a safe loader
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise WalletError(f"{path}: {error}") from error


async def load_wallets(forms: list[WalletForm], store: WalletStore, directory: Directory, *, now_ms: int) -> None:
    """Create the wallets and make the SIMs known."""
    commands = [
        WalletCommand(
            tenant=form.tenant, source="wallets-file", id=f"create-{form.wallet}", wallet=form.wallet, kind="create",
            amount=form.balance, currency=form.currency, floor=form.floor,
        )
        for form in forms
    ]  # fmt: skip
    for start in range(0, len(commands), PAGE):
        page = commands[start : start + PAGE]
        answers = await store.apply([entry_of(command) for command in page], now_ms=now_ms)
        for command, answer in zip(page, answers, strict=True):
            if isinstance(answer, Stale):
                raise WalletError(f"wallet {command.wallet}: {answer.why}")
    subscribers = [_subscriber(form, sim) for form in forms for sim in form.sims]
    for start in range(0, len(subscribers), PAGE):
        await directory.add(subscribers[start : start + PAGE], now_ms=now_ms)


def _subscriber(form: WalletForm, sim: SimForm) -> Subscriber:
    name = sim.subscriber or sim.iccid or sim.imsi or sim.msisdn
    if not name:
        raise WalletError(f"sims: a SIM of wallet {form.wallet} has no subscriber, iccid, imsi or msisdn")
    assignment = Assignment(FOR_EVER_MS, form.wallet, form.account or form.wallet, form.plan, form.currency, form.zone)
    return Subscriber(form.tenant, name, 1, (assignment,), sim.iccid, sim.imsi, sim.msisdn)
