"""The messages of reports, from the model."""

from __future__ import annotations

from featmesh.management.v1 import report_service_pb2 as pb
from services.api.read.stale import StaleFlag
from services.api.rpc.messages import timestamp
from services.storage.model.reports import (
    EvaluationReport,
    ExperimentVariation,
    IntervalCount,
    Usage,
    VariationUser,
)


def evaluations_message(report: EvaluationReport) -> pb.QueryEvaluationsResponse:
    """Evaluations per interval and in all."""
    return pb.QueryEvaluationsResponse(
        counts=map(_count, report.counts), totals=map(_total, report.totals)
    )


def variation_user_message(user: VariationUser) -> pb.VariationUser:
    """A user that was served a variation."""
    return pb.VariationUser(key=user.key, name=user.name, last_time=timestamp(user.last_time))


def usage_message(usage: Usage) -> pb.Usage:
    """What an environment was used for."""
    return pb.Usage(
        start=timestamp(usage.start),
        end=timestamp(usage.end),
        evaluations=usage.evaluations,
        events=usage.events,
        active_users=usage.active_users,
        dropped_events=usage.dropped_events,
    )


def stale_flag_message(stale: StaleFlag) -> pb.StaleFlag:
    """A flag that may not be needed any more."""
    use = stale.use
    return pb.StaleFlag(
        flag_key=stale.flag.key,
        name=stale.flag.content.display_name,
        reason=pb.StaleReason.Value(f"STALE_REASON_{stale.reason.name}"),
        last_evaluated=timestamp(use.last_hour) if use else None,
        variation_id=use.variation_id if use else "",
        created_at=timestamp(stale.flag.meta.created_at),
    )


def experiment_message(variation: ExperimentVariation) -> pb.ExperimentVariation:
    """One variation of an experiment."""
    return pb.ExperimentVariation(
        variation_id=variation.variation_id,
        users=variation.users,
        users_of_several=variation.users_of_several,
        converted_users=variation.converted_users,
        events=variation.events,
        sum=variation.sum,
        sum_of_squares=variation.sum_of_squares,
    )


def _count(count: IntervalCount) -> pb.IntervalCount:
    return pb.IntervalCount(
        start=timestamp(count.start),
        end=timestamp(count.end),
        variation_id=count.variation_id,
        evaluations=count.evaluations,
        users=count.users,
    )


def _total(count: IntervalCount) -> pb.VariationTotal:
    return pb.VariationTotal(
        variation_id=count.variation_id, evaluations=count.evaluations, users=count.users
    )
