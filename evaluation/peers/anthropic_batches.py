"""A strict mock server of Anthropic's Message Batches API.

Fields: the types of anthropic 2.13.0. Refusals:
https://platform.claude.com/docs/en/build-with-claude/batch-processing (seen 2026-11-25). Each request is validated
when it is processed, and its error is in its result.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...profiles.validation import first_problem
from .anthropic_errors import error_body, kind_of, refuse
from .journal import RequestJournal
from .reply import HttpFault
from .streaming import whole

EXPIRED = HttpFault(504, kind="expired")
"""A scripted answer: the request was not processed within 24 hours."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Request(_Form):
    custom_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    params: dict[str, Any]


class _Create(_Form):
    requests: Annotated[list[_Request], Field(min_length=1, max_length=100_000)]


@dataclass
class Batch:
    id: str
    requests: Mapping[str, Mapping[str, Any]]
    created_at: dt.datetime
    polls: int = 0
    """Number of status requests."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    has_ended: bool = False


class BatchPeer:
    """Serves `/v1/messages/batches` and the paths below it."""

    def __init__(
        self,
        answer: Callable[[Mapping[str, Any]], dict[str, Any] | HttpFault],
        access_fault: Callable[[Request], HttpFault | None],
        journal: RequestJournal,
    ) -> None:
        """answer: gives the message for a request. access_fault: gives the fault of an unauthorized request."""
        self._answer = answer
        self._access_fault = access_fault
        self._journal = journal
        self.batches: dict[str, Batch] = {}
        self.was_polled = anyio.Event()
        """Set by the first status request."""
        self.ends_at_poll = 1
        """Number of the status request at which a batch has ended; 0: never."""
        self.faults: list[HttpFault] = []
        """Responses to the next requests, whatever they ask, in order."""
        self.fails_after_create = False
        """True: creating a batch succeeds, but is answered with an error."""
        self.results_origin: str | None = None
        """What `results_url` begins with, as behind a gateway that does not change replies. None: the address asked."""
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
        self.routes = [
            Route("/v1/messages/batches", self._create, methods=["POST"]),
            Route("/v1/messages/batches", self._list, methods=["GET"]),
            Route("/v1/messages/batches/{id}", self._retrieve, methods=["GET"]),
            Route("/v1/messages/batches/{id}/results", self._results, methods=["GET"]),
        ]

    async def _create(self, request: Request) -> Response:
        exchange = await self._journal.record(request)
        if refused := self._refused(request):
            return refuse(exchange, refused)
        try:
            asked = _Create.model_validate(exchange.body)
        except ValidationError as error:
            return refuse(exchange, HttpFault(400, message=first_problem(error)))
        requests = {one.custom_id: one.params for one in asked.requests}
        if len(requests) < len(asked.requests):
            return refuse(exchange, HttpFault(400, message="requests: custom_id must be unique"))
        batch = Batch(f"msgbatch_{len(self.batches) + 1:02}", requests, self.clock())
        self.batches[batch.id] = batch
        if self.fails_after_create:
            return refuse(exchange, HttpFault(500))
        return whole(exchange, self._facts(batch, request))

    async def _list(self, request: Request) -> Response:
        exchange = await self._journal.record(request)
        if refused := self._refused(request):
            return refuse(exchange, refused)
        newest_first = [self._facts(batch, request) for batch in reversed(self.batches.values())]
        first, last = (newest_first[0]["id"], newest_first[-1]["id"]) if newest_first else (None, None)
        page = {"data": newest_first, "has_more": False, "first_id": first, "last_id": last}
        return whole(exchange, page)

    async def _retrieve(self, request: Request) -> Response:
        exchange = await self._journal.record(request)
        batch = self._refused(request) or self._named(request)
        if isinstance(batch, HttpFault):
            return refuse(exchange, batch)
        batch.polls += 1
        self.was_polled.set()
        if self.ends_at_poll and batch.polls >= self.ends_at_poll:
            self._process(batch)
        return whole(exchange, self._facts(batch, request))

    async def _results(self, request: Request) -> Response:
        exchange = await self._journal.record(request)
        batch = self._refused(request) or self._named(request)
        if isinstance(batch, HttpFault):
            return refuse(exchange, batch)
        if not batch.has_ended:
            return refuse(exchange, HttpFault(404, message=f"{batch.id} has no results yet"))
        exchange.status = 200
        exchange.over.set()
        # Not in the order of the requests: the vendor guarantees none.
        lines = [json.dumps({"custom_id": name, "result": batch.results[name]}) for name in reversed(batch.results)]
        return Response("".join(f"{line}\n" for line in lines), media_type="application/x-jsonl")

    def _process(self, batch: Batch) -> None:
        if batch.has_ended:
            return
        batch.has_ended = True
        for name, params in batch.requests.items():
            batch.results[name] = self._result(params)

    def _result(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if params.get("stream") or not params.get("max_tokens"):
            wrong = "stream" if params.get("stream") else "max_tokens"
            return {"type": "errored", "error": error_body("invalid_request_error", f"{wrong}: not in a batch")}
        answer = self._answer(params)
        if not isinstance(answer, HttpFault):
            return {"type": "succeeded", "message": answer}
        if answer.kind == EXPIRED.kind:
            return {"type": "expired"}
        return {"type": "errored", "error": error_body(kind_of(answer), answer.message)}

    def _refused(self, request: Request) -> HttpFault | None:
        return self._access_fault(request) or (self.faults.pop(0) if self.faults else None)

    def _named(self, request: Request) -> Batch | HttpFault:
        name = request.path_params["id"]
        return self.batches.get(name) or HttpFault(404, message=f"batch: {name}")

    def _facts(self, batch: Batch, request: Request) -> dict[str, Any]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for result in batch.results.values():
            counts[result["type"]] += 1
        counts["processing"] = len(batch.requests) - len(batch.results)
        stamp = batch.created_at.isoformat()
        origin = self.results_origin or str(request.base_url).rstrip("/")
        results = f"{origin}/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if batch.has_ended else "in_progress",
            "request_counts": counts,
            "created_at": stamp,
            "ended_at": stamp if batch.has_ended else None,
            "expires_at": (batch.created_at + dt.timedelta(hours=24)).isoformat(),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": results if batch.has_ended else None,
        }
