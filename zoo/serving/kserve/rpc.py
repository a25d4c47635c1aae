"""The methods of the protocol over gRPC, with gRPC's health checking protocol."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from runtime.errors import DeadlineError
from zoo.serving.errors import EXPECTED, Explainer
from zoo.serving.kserve.inference import VERSION, InferRequest, Repository
from zoo.serving.kserve.messages import HEALTH, INFERENCE
from zoo.serving.kserve.tensors import TensorData
from zoo.serving.metrics import Metrics
from zoo.serving.parameters import RequestError

SERVICE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"
_OPEN = (f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady", f"/{_HEALTH}/")
"""Methods that need no key."""

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_CONTENTS = {
    "UINT8": "uint_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "BYTES": "bytes_contents",
}
"""Fields of InferTensorContents, by type of tensor."""

_TURN, _QUIET, _PATIENCE = 0.02, 3, 5.0
"""A server is stopped after so many turns of so many seconds without a call, or after the third."""

Context: TypeAlias = grpc.aio.ServicerContext
Answer = Callable[[bytes, Context], Awaitable[bytes]]


def check_deadline(context: Context, seconds: float | None) -> float | None:
    """Return the seconds that a call has: until its own deadline, at most those of the service."""
    left = context.time_remaining()
    return min((each for each in (left, seconds) if each is not None), default=None)


class Rpc(grpc.GenericRpcHandler):
    """Handlers of all methods. key: what clients must send as `authorization: Bearer KEY`."""

    def __init__(
        self, repository: Repository, explain: Explainer, key: str | None, metrics: Metrics
    ) -> None:
        self._repository = repository
        self._words = explain
        self._key = None if key is None else f"Bearer {key}".encode()
        self._metrics = metrics
        self._ending = asyncio.Event()
        self._called = 0
        simple: dict[str, Callable[[Any], dict[str, Any]]] = {
            "ServerLive": lambda _: {"live": True},
            "ServerReady": lambda _: {"ready": True},
            "ModelReady": lambda asked: {"ready": repository.has(asked.name, asked.version)},
            "ServerMetadata": lambda _: repository.metadata(),
            "ModelMetadata": lambda asked: self._find(asked).metadata(),
            "ModelConfig": lambda asked: {"config": self._find(asked).config()},
            "ModelStatistics": lambda asked: repository.statistics(asked.name, asked.version),
            "RepositoryIndex": lambda _: {"models": repository.index()},
        }
        self._handlers = {
            f"/{SERVICE}/{name}": self._unary(name, self._describe(name, call))
            for name, call in simple.items()
        }
        infer, stream = f"/{SERVICE}/ModelInfer", f"/{SERVICE}/ModelStreamInfer"
        self._handlers[infer] = self._unary("ModelInfer", self._infer)
        self._handlers[stream] = grpc.stream_stream_rpc_method_handler(self._infer_stream)
        self._handlers[f"/{_HEALTH}/Check"] = self._unary("Check", self._check)
        self._handlers[f"/{_HEALTH}/Watch"] = grpc.unary_stream_rpc_method_handler(self._watch)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a call, or None for an unknown method."""
        self._called += 1
        handler = self._handlers.get(details.method)
        if self._ending.is_set() and handler and not details.method.startswith(f"/{_HEALTH}/"):
            return _refuse(handler, grpc.StatusCode.UNAVAILABLE, "the service ends")
        if self._key is None or details.method.startswith(_OPEN) or handler is None:
            return handler
        sent = dict(details.invocation_metadata).get("authorization", "")
        if hmac.compare_digest(sent.encode() if isinstance(sent, str) else sent, self._key):
            return handler
        expected = "expected the metadata authorization: Bearer KEY"
        return _refuse(handler, grpc.StatusCode.UNAUTHENTICATED, expected)

    async def end(self) -> None:
        """Tell those who watch that the service ends, and refuse calls until no more come.

        A server that is stopped cancels the calls that it has received and not yet looked at, and
        their clients could not tell that from a call that was accepted and lost.
        """
        self._ending.set()
        until, quiet = time.monotonic() + _PATIENCE, 0
        while quiet < _QUIET and time.monotonic() < until:
            called = self._called
            await asyncio.sleep(_TURN)
            quiet = quiet + 1 if called == self._called else 0

    def _find(self, asked: Any) -> Any:
        return self._repository.find(asked.name, asked.version)

    def _explain(self, error: Exception) -> tuple[grpc.StatusCode, str]:
        """Return the code and the words for an error."""
        if not isinstance(error, EXPECTED):
            logging.getLogger("uvicorn.error").error("a method has failed", exc_info=error)
        status, words = self._words(error)
        if isinstance(error, DeadlineError):
            return grpc.StatusCode.DEADLINE_EXCEEDED, words
        return _CODES.get(status, grpc.StatusCode.INTERNAL), words

    def _unary(self, name: str, answer: Answer) -> grpc.RpcMethodHandler:
        """Return the handler of a method, with metrics, and errors as the status of the call."""

        async def call(content: bytes, context: Context) -> bytes:
            began, code = time.perf_counter(), grpc.StatusCode.CANCELLED
            try:
                result = await answer(content, context)
                code = grpc.StatusCode.OK
                return result
            except Exception as error:
                code, message = self._explain(error)
                await context.abort(code, message)
                raise  # not reached: abort raises
            finally:
                self._metrics.count(f"grpc {name}", code.name, time.perf_counter() - began)

        return grpc.unary_unary_rpc_method_handler(call)

    def _describe(self, name: str, call: Callable[[Any], dict[str, Any]]) -> Answer:
        request_type, answer_type = INFERENCE[f"{name}Request"], INFERENCE[f"{name}Response"]

        async def answer(content: bytes, _: Context) -> bytes:
            asked = _parse(request_type, content)
            encoded: bytes = ParseDict(call(asked), answer_type()).SerializeToString()
            return encoded

        return answer

    async def _infer(self, content: bytes, context: Context) -> bytes:
        answer = await self._compute(content, context)
        encoded: bytes = answer.SerializeToString()
        return encoded

    async def _infer_stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """Answer the requests of a stream in their order; an error does not end it."""
        async for content in requests:
            began, code = time.perf_counter(), grpc.StatusCode.OK
            answer = INFERENCE["ModelStreamInferResponse"]()
            try:
                answer.infer_response.CopyFrom(await self._compute(content, context))
            except Exception as error:
                code, answer.error_message = self._explain(error)
            self._metrics.count("grpc ModelStreamInfer", code.name, time.perf_counter() - began)
            yield answer.SerializeToString()

    async def _compute(self, content: bytes, context: Context) -> Any:
        """Return the answer to a request of inference."""
        message = _parse(INFERENCE["ModelInferRequest"], content)
        served = self._repository.find(message.model_name, message.model_version)
        seconds = check_deadline(context, self._repository.seconds)
        output = await served.infer(_read(message), seconds)
        answer = INFERENCE["ModelInferResponse"](
            model_name=served.model.name, model_version=VERSION, id=message.id
        )
        answer.outputs.add(
            name=served.output.name, datatype=served.output.datatype, shape=output.shape
        )
        answer.raw_output_contents.append(output.tobytes())
        return answer

    async def _check(self, content: bytes, _: Context) -> bytes:
        asked = _parse(HEALTH["HealthCheckRequest"], content)
        if asked.service not in ("", SERVICE):
            raise RequestError(f"no service {asked.service[:60]}", 404)
        return self._state("SERVING")

    async def _watch(self, content: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            asked = _parse(HEALTH["HealthCheckRequest"], content)
        except RequestError as error:
            await context.abort(*self._explain(error))
        known = asked.service in ("", SERVICE)
        yield self._state("SERVING" if known else "SERVICE_UNKNOWN")
        await self._ending.wait()
        if known:
            yield self._state("NOT_SERVING")

    def _state(self, name: str) -> bytes:
        encoded: bytes = ParseDict(
            {"status": name}, HEALTH["HealthCheckResponse"]()
        ).SerializeToString()
        return encoded


def _parse(kind: Any, content: bytes) -> Any:
    try:
        return kind.FromString(content)
    except DecodeError:
        raise RequestError("the message cannot be decoded") from None


def _read(message: Any) -> InferRequest:
    """Return a request, not yet checked. Raises RequestError."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise RequestError(
            f"raw_input_contents: expected {len(message.inputs)} as of inputs, got {len(raw)}"
        )
    request = InferRequest(id=message.id)
    for index, each in enumerate(message.inputs):
        _refuse_parameters(each)
        if raw:
            if each.HasField("contents"):
                raise RequestError("contents: expected none beside raw_input_contents")
            values: Any = raw[index]
        else:
            values = list(getattr(each.contents, _CONTENTS.get(each.datatype, "bool_contents")))
        request.inputs.append(TensorData(each.name, each.datatype, list(each.shape), values))
    for each in message.outputs:
        # Outputs are raw bytes here, whatever a client asks for.
        _refuse_parameters(each, "binary_data")
        request.outputs.append(each.name)
    request.parameters = _read_parameters(message.parameters)
    return request


def _read_parameters(parameters: Any) -> dict[str, Any]:
    chosen = ((name, each, each.WhichOneof("choice")) for name, each in parameters.items())
    return {name: getattr(each, kind) for name, each, kind in chosen if kind is not None}


def _refuse_parameters(tensor: Any, *known: str) -> None:
    for name in tensor.parameters:
        if name not in known:
            raise RequestError(f"{tensor.name[:60]}: unknown parameter {name[:60]}")


def _refuse(
    handler: grpc.RpcMethodHandler, code: grpc.StatusCode, words: str
) -> grpc.RpcMethodHandler:
    """Return a handler for the same method that refuses every call."""

    async def refuse(_: Any, context: Context) -> bytes:
        await context.abort(code, words)
        raise AssertionError("abort raises")

    async def refuse_stream(_: Any, context: Context) -> AsyncIterator[bytes]:
        yield await refuse(_, context)

    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    return grpc.unary_unary_rpc_method_handler(refuse)
