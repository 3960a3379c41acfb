"""Records for the tests of the record library."""

from __future__ import annotations

from dataclasses import replace

from bench.record import OWN, Machine, Record, Row

ROW = Row(
    work="10000 streams, one change",
    subject=OWN,
    metric="server CPU per push",
    unit="us",
    value=41.2,
    min=38.0,
    max=47.9,
    rounds=9,
    goal=40,
    better="lower",
)

RECORD = Record(
    name="push",
    date="2026-11-22",
    commit="abc1234",
    machine=Machine(cores=2, memory_gib=23.5, cpu="AMD EPYC", kernel="6.18.44"),
    versions={"python": "3.11.7", "grpcio": "1.85.1"},
    method="One server on loopback. No TLS, no real network.",
    rows=(ROW, replace(ROW, subject="reference: bare gRPC", value=30.9, min=30, max=31, goal=None)),
)
