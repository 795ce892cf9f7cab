"""Who may act: a role counts where it was given and below, and who may not is told who may."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.accounts.model import Account, GivenRole, Step
from rater.accounts.roles import MANAGERS, OPERATOR, OWNER, ROLES, Actor, refusal, role_of
from rater.plans.terms import Role

STEP = Step("s", "", "create", 0)
#: bob is manager of the organisation, erin reader of the company, frank manager of another company.
ACME = Account("t", "acme", "organisation", "alice", "EUR", "DE", STEP, roles={"bob": "manager", "gina": "reader"})
NORTH = Account("t", "north", "company", "carol", "EUR", "DE", STEP, "acme", roles={"erin": "reader", "hal": "manager"})
CHAIN = (NORTH, ACME)


@pytest.mark.parametrize(
    ("user", "role"),
    [
        ("alice", "owner"),
        ("bob", "manager"),
        ("gina", "reader"),
        ("carol", "owner"),
        ("erin", "reader"),
        ("frank", None),
    ],
)
def test_a_role_in_the_organisation_counts_for_its_companies(user: str, role: Role | None) -> None:
    assert role_of(CHAIN, user) == role


def test_a_role_in_a_company_counts_for_nothing_above_it() -> None:
    assert role_of((ACME,), "carol") is None
    assert refusal((ACME,), Actor("carol"), ROLES, "read acme")


@pytest.mark.parametrize(
    ("chain", "asked", "who"),
    [
        ((ACME,), OWNER, "the owner (alice)"),
        ((ACME,), MANAGERS, "the owner (alice) or a manager"),
        ((ACME,), ("reader", "owner"), "the owner (alice) or a reader"),
        (CHAIN, OWNER, "the owner (carol), or the owner (alice) of its organisation acme,"),
        (CHAIN, (), "the operator"),
        ((), MANAGERS, "the operator"),
    ],
    ids=str,
)
def test_who_may_not_is_told_who_may(chain: tuple[Account, ...], asked: tuple[Role, ...], who: str) -> None:
    assert refusal(chain, Actor("frank"), asked, "do it") == f"only {who} may do it"


def test_the_operator_may_everything() -> None:
    for chain, asked in product(((), (ACME,), CHAIN), ((), OWNER, MANAGERS, ROLES)):
        assert refusal(chain, OPERATOR, asked, "do it") == ""


def test_a_program_of_the_account_acts_as_a_manager() -> None:
    program = Actor()
    assert refusal(CHAIN, program, MANAGERS, "do it") == ""
    assert refusal(CHAIN, program, (), "do it") == "", "no person, but its key's scopes allow it"
    assert "only the owner (carol)" in refusal(CHAIN, program, OWNER, "do it")


roles = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["manager", "reader"]))
asked_roles = st.sets(st.sampled_from(ROLES))


@given(owner=st.sampled_from("abcd"), own=roles, above=roles, user=st.sampled_from("abcde"), asked=asked_roles)
def test_who_has_a_role_that_is_asked_may_and_nobody_else(
    owner: str, own: dict[str, GivenRole], above: dict[str, GivenRole], user: str, asked: set[Role]
) -> None:
    """Whatever else they are: a rule for readers lets a manager through only if it says so."""
    company = Account("t", "c", "company", owner, "EUR", "DE", STEP, "o", roles=own)
    organisation = Account("t", "o", "organisation", "z", "EUR", "DE", STEP, roles=above)
    held = {"owner" if user == owner else own.get(user), above.get(user)}
    assert (refusal((company, organisation), Actor(user), asked, "do it") == "") == bool(held & asked)
