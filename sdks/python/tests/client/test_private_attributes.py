from __future__ import annotations

from featmesh import Client, ClientSideClient, Context
from featmesh.engine import Condition, Flag, Rollout, Rule, Share, ValueType, Variation

from .frames import full, result, results
from .stage import LIMIT, Stage, quick_options

ADA = Context(
    "ada",
    name="Ada Lovelace",
    attributes={"email": "ada@example.org", "iban": "DE02", "plan": "pro"},
    private=("email",),
)


def flag_for_email() -> Flag:
    rule = Rule(
        "r",
        "Ours",
        (Condition("email", "ENDS_WITH", ("@example.org",)),),
        Rollout((Share("on", 100_000),)),
    )
    return Flag(
        key="ours",
        value_type=ValueType.BOOLEAN,
        variations=(Variation("on", "On", True), Variation("off", "Off", False)),
        off_variation_id="off",
        rules=(rule,),
        fallthrough=Rollout((Share("off", 100_000),)),
        enabled=True,
    )


def test_a_private_attribute_is_evaluated_and_never_sent(stage: Stage) -> None:
    options = quick_options(private_attributes=("iban", "name"))
    with Client(stage.address, "key", options=options) as client:
        stage.next_stream().send(full(1, flag_for_email()))
        assert client.wait_until_ready(LIMIT)
        assert client.boolean_value("ours", ADA, default=False)
        client.identify(ADA)
        client.track("bought", ADA)
        assert client.flush(LIMIT)
        batch = stage.next_batch()
    (user,) = batch.users
    assert (user.key, user.name, sorted(user.attributes)) == ("ada", "", ["plan"])
    sent = batch.SerializeToString()
    assert not any(secret in sent for secret in (b"example.org", b"DE02", b"Lovelace"))


def test_a_client_sides_private_attribute_does_not_even_reach_its_evaluation(stage: Stage) -> None:
    options = quick_options(private_attributes=("iban",))
    with ClientSideClient(stage.address, "key", ADA, options=options) as client:
        stream = stage.next_stream()
        stream.send(results(1, result("dark", value=True)))
        assert client.wait_until_ready(LIMIT)
    assert stream.request is not None
    assert sorted(stream.request.context.attributes) == ["plan"]  # type: ignore[union-attr] # of a user


def test_one_name_given_as_a_text_is_not_taken_for_its_letters(stage: Stage) -> None:
    context = Context("ada", attributes={"email": "x", "e": "y"}, private="email")
    with ClientSideClient(stage.address, "key", context, options=quick_options()):
        stream = stage.next_stream()
    assert sorted(stream.request.context.attributes) == ["e"]  # type: ignore[union-attr] # of a user
