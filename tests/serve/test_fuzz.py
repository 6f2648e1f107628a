"""Requests made from the OpenAPI schema, right and wrong ones: no answer is a 5xx."""

import pytest
from hypothesis import HealthCheck, given, settings

CHECKED = 100  # requests of each kind to each route


def statuses(operation, mode, wanted):
    """What requests of one kind to one route got, each answer checked."""
    seen = set()

    @settings(max_examples=CHECKED, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case):
        answer = case.call_and_validate(checks=wanted, timeout=60)
        seen.add(answer.status_code)
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"]

    one()
    return seen


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # schemathesis' own
def test_no_request_breaks_the_server(server):
    schemathesis = pytest.importorskip("schemathesis", reason="pip install 'pa_jax[fuzz]'")
    from schemathesis.specs.openapi import checks

    right, wrong = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    wanted = [schemathesis.checks.not_a_server_error, checks.response_schema_conformance]
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = {found.ok().label: found.ok() for found in schema.get_all_operations()}
    assert len(operations) >= 12
    for label, operation in operations.items():
        assert statuses(operation, right, wanted), label
        if operation.body or operation.query:  # what can be wrong
            assert max(statuses(operation, wrong, wanted)) >= 400, label
