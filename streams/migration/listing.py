"""Who is on a plan, in a file that is written first: so memory stays small, and a run that is cut short goes on.

    <name>.list     a line for each: ["tenant", "subscriber"]; written whole under another name first
    <name>.place    how many bytes of it are dealt with, and how many lines

The listing has everybody who was on the plan when it began. A crash while it is written: it is written anew. A crash
after a page and before its place: the page is gone through again, which finds done what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from rater.directory import Directory
from rater.pipeline.choosing import Subject
from rater.plans.life import Subscription, View
from rater.subscriber import Subscriber
from rater.subscriptions import Subscriptions

#: Subscribers read at a time.
PAGE = 500


class Place(msgspec.Struct):
    """How far a run is."""

    offset: int = 0
    lines: int = 0


class Listing:
    """The file of a run; `total` lines, from `place` on."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.list"
        self._place_path = folder / f"{name}.place"
        self.place = Place()
        self.total = 0

    async def open(
        self, directory: Directory, subscriptions: Subscriptions, plan: str, tenant: str, now_ms: int
    ) -> bool:
        """Write the listing, or find the one of a run that was cut short; answers whether it did."""
        is_found = self._path.exists()
        if is_found:
            if self._place_path.exists():
                self.place = msgspec.json.decode(self._place_path.read_bytes(), type=Place)
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".tmp")
            with temporary.open("wb") as file:
                async for page in directory.pages(tenant, PAGE):
                    for subject in await on_plan(subscriptions, page, plan, now_ms):
                        who = subject.subscriber
                        file.write(msgspec.json.encode((who.tenant, who.id)) + b"\n")
            temporary.replace(self._path)
        with self._path.open("rb") as file:
            self.total = sum(1 for _ in file)
        return is_found

    def pages(self) -> Iterator[list[tuple[str, str]]]:
        """What is left, in pages; the place goes on when the next one is asked for."""
        with self._path.open("rb") as file:
            file.seek(self.place.offset)
            while lines := [line for _, line in zip(range(PAGE), file, strict=False)]:
                yield [msgspec.json.decode(line, type=tuple[str, str]) for line in lines]
                self.place = Place(self.place.offset + sum(map(len, lines)), self.place.lines + len(lines))
                temporary = self._place_path.with_suffix(".place-tmp")
                temporary.write_bytes(msgspec.json.encode(self.place))
                temporary.replace(self._place_path)

    def close(self) -> None:
        """The run is at its end: forget it, so that another one looks anew.

        The place first: one that outlived its listing would be taken for that of the next run, which would skip people.
        A listing without a place is gone through again, which finds done what was done.
        """
        self._place_path.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


async def on_plan(
    subscriptions: Subscriptions, subscribers: Sequence[Subscriber], plan: str, now_ms: int
) -> list[Subject]:
    """Those of the subscribers that are on a plan, or are assigned to it."""
    return [subject for subject, _, _ in await standing_on(subscriptions, subscribers, plan, now_ms)]


async def standing_on(
    subscriptions: Subscriptions, subscribers: Sequence[Subscriber], plan: str, now_ms: int
) -> list[tuple[Subject, Subscription | None, View]]:
    """The same with the subscriptions as they stand."""
    known = {(one.tenant, one.id): one for one in subscribers if one.assignments[0].from_ms <= now_ms}
    subjects = [subscriptions.subject(one, now_ms) for one in known.values()]
    found = []
    for subject, (subscription, view) in zip(subjects, await subscriptions.standing(subjects), strict=True):
        present = subscription.plan if subscription is not None else subject.assignment.plan
        is_over = subscription is not None and subscription.status == "cancelled"
        if present == plan and not is_over:
            found.append((subject, subscription, view))
    return found
