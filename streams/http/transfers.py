"""Transfers between wallets that the key reaches. The answer comes when the one wallet is debited."""

from __future__ import annotations

from rater.errors import WalletError
from rater.wallet.transfer import Order
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms_accounts import TransferForm, TransferOut, transfer_out
from streams.http.problems import Problem, of_wallet
from streams.http.wallets import find


async def make(call: Call[TransferForm]) -> TransferOut:
    """Send money; a person needs to be owner or manager of both wallets' accounts."""
    form, desk = call.form, call.desk
    for field, wallet in (("from_wallet", form.from_wallet), ("to_wallet", form.to_wallet)):
        await find(call, wallet, field)
    await desk.claims.claim(call.tenant, call.idempotency_key, call.subject, form)
    order = Order(call.tenant, call.idempotency_key, form.from_wallet, form.to_wallet, form.amount, form.note)
    try:
        made = await desk.engine.parts.transfers.make(order, now_ms=desk.now_ms)
    except WalletError as error:
        raise of_wallet(error) from error
    desk.engine.publisher.wake()
    return transfer_out(made, repeated=made.known)


async def show(call: Call[NoForm]) -> TransferOut:
    """What became of a transfer, for whom one of its wallets is within reach."""
    wanted = call.path["transfer"]
    found = await call.desk.engine.parts.transfers.find(call.tenant, wanted)
    if found is None:
        raise Problem("not-found", f"{call.tenant} has no transfer {wanted}")
    try:
        await call.check_wallet(found.order.from_wallet)
    except Problem:
        try:
            await call.check_wallet(found.order.to_wallet)
        except Problem as neither:
            if neither.status != 404:
                raise
            raise Problem("not-found", f"{call.tenant} has no transfer {wanted}") from neither
    return transfer_out(found)


ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/transfers", handler=make, scope="manage", keyed=True, status=201, problems=(404,),
        summary="Send money from one wallet to another; its Idempotency-Key names the transfer", form=TransferForm,
        answer=TransferOut,
    ),
    Endpoint(
        method="GET", path="/v1/transfers/{transfer}", handler=show, scope="read", problems=(404,),
        summary="What became of a transfer: in transit, done or returned", answer=TransferOut,
    ),
)  # fmt: skip
