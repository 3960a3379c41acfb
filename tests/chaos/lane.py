"""One writer's items, and the operations on them: each is retried until it is known to be done."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from featmesh.engine.model import Flag, Segment
from featmesh.management.v1 import flag_service_pb2 as flags_pb
from featmesh.management.v1 import mutation_pb2
from featmesh.management.v1 import segment_service_pb2 as segments_pb
from featmesh.wire.definitions import flag_from_proto, segment_from_proto
from tests.chaos.content import Contents
from tests.chaos.history import Commit, Environment, Item, ItemKey, key_of
from tests.chaos.management import Management, Refused

FLAGS: Final = 10
SEGMENTS: Final = 4

_VERSIONS: Final = 8
"""Of one item that a rollback may choose from."""


class WrongAnswer(Exception):
    """The API said that it did something else than it was asked for."""


class Lane:
    """Owns some keys of one environment: nobody else writes them, so their state is known.

    Its operations are chosen by dice of its own: the same seed writes the same, as far as
    the same writes are refused.
    """

    def __init__(
        self, name: str, environment: Environment, management: Management, seed: str
    ) -> None:
        self.name = name
        self.environment = environment
        self.refused: Counter[str] = Counter()
        self.written = 0
        self._management = management
        self._dice = random.Random(f"{seed}/{environment.name}/{name}")
        self._contents = Contents(self._dice, environment.name)
        self._items: dict[ItemKey, Item] = {}
        self._versions: dict[ItemKey, list[Item]] = {}
        self._requests = 0
        self._run = f"{self._dice.getrandbits(64):x}"

    async def step(self) -> None:
        """One operation, or two at once. A refusal is counted; it wrote nothing."""
        operation = self._choose()
        try:
            await operation()
        except Refused as refusal:
            self.refused[refusal.code.name] += 1

    def _choose(self) -> Callable[[], Awaitable[object]]:
        operations: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (3, self._put_segment),
            (8, self._put_flag),
            (6, self._toggle),
            (3, self._two_at_once),
            (1, self._two_of_one),
            (2, self._archive),
            (2, self._delete),
            (3, self._roll_back),
        ]
        weights = [weight for weight, _ in operations]
        return self._dice.choices([each for _, each in operations], weights)[0]

    def _options(self) -> mutation_pb2.MutationOptions:
        """A request id that no other operation has."""
        self._requests += 1
        return mutation_pb2.MutationOptions(
            request_id=f"{self._run}-{self.name}-{self._requests}", comment="chaos"
        )

    async def _put_flag(self) -> None:
        number = self._dice.randrange(FLAGS)
        await self.put_flag(self._new_flag(number))

    def _new_flag(self, number: int) -> flags_pb.FlagResource:
        """It may need those of lower numbers, so that nothing goes round in a circle."""
        live = [each for each in self._items.values() if not each.archived]
        lower = {self._flag_key(each) for each in range(number)}
        return self._contents.flag(
            self._flag_key(number),
            segments=[each for each in live if isinstance(each, Segment)],
            prerequisites=[each for each in live if isinstance(each, Flag) and each.key in lower],
        )

    async def put_flag(self, resource: flags_pb.FlagResource, *, first: int | None = None) -> Flag:
        """Creates it, or replaces what is there."""
        current = self._items.get(("flag", resource.flag.key))
        resource.flag.salt = resource.flag.key
        if current is not None:
            resource.flag.archived = current.archived
        method, fields = self._put("Flag", resource, current)
        kind = flags_pb.CreateFlagRequest if current is None else flags_pb.UpdateFlagRequest
        return await self._flag(method, kind(**fields), flag_from_proto(resource.flag), first)

    def _put(self, noun: str, resource: Any, current: Item | None) -> tuple[str, dict[str, Any]]:
        """The method that creates or replaces, and the fields of its request."""
        fields: dict[str, Any] = {"resource": resource, "options": self._options()}
        if current is None:
            return f"Create{noun}", fields | {"parent": self._parent}
        resource.name = self._name(current)
        mask = FieldMask(paths=["*"])
        return f"Update{noun}", fields | {"base_version": current.version, "update_mask": mask}

    @property
    def _parent(self) -> str:
        """The environment, by its id alone."""
        return f"organizations/-/projects/-/environments/{self.environment.id}"

    def _name(self, item: Item) -> str:
        collection = "flags" if isinstance(item, Flag) else "segments"
        return f"{self._parent}/{collection}/{item.key}"

    async def _put_segment(self) -> None:
        key = f"{self.name}-segment-{self._dice.randrange(SEGMENTS)}"
        await self.put_segment(self._contents.segment(key, key))

    async def put_segment(self, resource: segments_pb.SegmentResource) -> Segment:
        """Creates it, or replaces what is there."""
        current = self._items.get(("segment", resource.segment.id))
        if current is not None:
            resource.segment.archived = current.archived
        kind = (
            segments_pb.CreateSegmentRequest
            if current is None
            else segments_pb.UpdateSegmentRequest
        )
        method, fields = self._put("Segment", resource, current)
        return await self._segment(method, kind(**fields), segment_from_proto(resource.segment))

    async def _toggle(self) -> None:
        flags = self._flags()
        if flags:
            await self.toggle(self._dice.choice(flags))

    async def toggle(self, flag: Flag, *, first: int | None = None) -> Flag:
        """On becomes off, and off on."""
        request = flags_pb.ToggleFlagRequest(
            name=self._name(flag),
            enabled=not flag.enabled,
            options=self._options(),
        )
        expected = replace(flag, enabled=not flag.enabled)
        return await self._flag("ToggleFlag", request, expected, first)

    async def _two_at_once(self) -> None:
        """In the same millisecond, if it comes to that, and at two replicas of `api`."""
        flags = self._flags()
        if len(flags) > 1:
            one, other = self._dice.sample(flags, 2)
            await asyncio.gather(self.toggle(one, first=0), self.toggle(other, first=1))

    async def _two_of_one(self) -> None:
        """Two updates that are based on one version: exactly one of them is done."""
        flags = self._flags()
        if not flags:
            return
        key = self._dice.choice(flags).key
        number = int(key.rpartition("-")[2])
        both = [self.put_flag(self._new_flag(number), first=first) for first in (0, 1)]
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        refusals = [each for each in outcomes if isinstance(each, BaseException)]
        for each in refusals:
            if not isinstance(each, Refused) or each.code is not grpc.StatusCode.ABORTED:
                raise each
        if len(refusals) != 1:
            raise WrongAnswer(f"of two updates of one version {2 - len(refusals)} were done")

    async def _archive(self) -> None:
        if not self._items:
            return
        item = self._dice.choice(list(self._items.values()))
        expected = replace(item, archived=not item.archived)
        verb, named = "Archive" if expected.archived else "Restore", self._named(item)
        kind: Any
        if isinstance(expected, Flag):
            archive, restore = flags_pb.ArchiveFlagRequest, flags_pb.RestoreFlagRequest
            kind = archive if expected.archived else restore
            await self._flag(f"{verb}Flag", kind(**named), expected)
        else:
            kind = (
                segments_pb.ArchiveSegmentRequest
                if expected.archived
                else segments_pb.RestoreSegmentRequest
            )
            await self._segment(f"{verb}Segment", kind(**named), expected)

    def _named(self, item: Item) -> dict[str, Any]:
        """The fields of a request that names one item."""
        return {"name": self._name(item), "options": self._options()}

    async def _delete(self) -> None:
        if self._items:
            await self.delete(self._dice.choice(list(self._items.values())))

    async def delete(self, item: Item) -> None:
        """It is gone; its key may be taken again."""
        if isinstance(item, Flag):
            stubs, method = self._management.flags, "DeleteFlag"
            request: Any = flags_pb.DeleteFlagRequest(**self._named(item))
        else:
            stubs, method = self._management.segments, "DeleteSegment"
            request = segments_pb.DeleteSegmentRequest(**self._named(item))
        answer = await self._management.call(stubs, method, request, first=self._replica())
        del self._items[key_of(item)]
        self._commit(int(answer.revision), key_of(item), None)

    async def _roll_back(self) -> None:
        if not self._versions:
            return
        key = self._dice.choice(list(self._versions))
        wanted = self._dice.choice(self._versions[key])
        fields = self._named(wanted) | {"to_version": wanted.version}
        if isinstance(wanted, Flag):
            await self._flag("RollbackFlag", flags_pb.RollbackFlagRequest(**fields), wanted)
        else:
            request = segments_pb.RollbackSegmentRequest(**fields)
            await self._segment("RollbackSegment", request, wanted)

    async def _flag(
        self, method: str, request: Any, expected: Flag, first: int | None = None
    ) -> Flag:
        replica = self._replica() if first is None else first
        answer = await self._management.call(self._management.flags, method, request, first=replica)
        flag = flag_from_proto(answer.resource.flag)
        self._keep(method, flag, expected)
        return flag

    async def _segment(self, method: str, request: Any, expected: Segment) -> Segment:
        stubs = self._management.segments
        answer = await self._management.call(stubs, method, request, first=self._replica())
        segment = segment_from_proto(answer.resource.segment)
        self._keep(method, segment, expected)
        return segment

    def _replica(self) -> int:
        return self._dice.randrange(2)

    def _keep(self, method: str, item: Item, expected: Item) -> None:
        if replace(item, version=0, revision=0) != replace(expected, version=0, revision=0):
            raise WrongAnswer(f"{method} was asked for {expected} and stored {item}")
        key = key_of(item)
        self._items[key] = item
        versions = self._versions.setdefault(key, [])
        versions.append(item)
        del versions[:-_VERSIONS]
        self._commit(item.revision, key, item)

    def _commit(self, revision: int, key: ItemKey, item: Item | None) -> None:
        commit = Commit(self.environment.name, revision, ((key, item),))
        self.environment.add(commit, time.monotonic())
        self.written += 1

    def _flags(self) -> Sequence[Flag]:
        return [each for each in self._items.values() if isinstance(each, Flag)]

    def _flag_key(self, number: int) -> str:
        return f"{self.name}-flag-{number}"
