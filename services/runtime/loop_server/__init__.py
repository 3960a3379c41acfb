"""A gRPC server whose every call is served by the event loop's own thread.

It speaks HTTP/2 with gRPC's core, as grpc.aio does, and takes the same servicers, handlers and
interceptors; but a message is handed to the core and known to be taken within one call, where
grpc.aio needs a coroutine, a future and two turns of another thread. The price is grpcio's
`cygrpc`, which its own synchronous server is built on, and which is not public:
docs/decisions/0010-loop-server.md.
"""

from services.runtime.loop_server.server import LoopServer

__all__ = ["LoopServer"]
