"""Requests made from the OpenAPI schema, right and wrong ones: no answer is a 5xx."""

import warnings

import pytest

pytestmark = pytest.mark.slow
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis", reason="pip install 'pa_jax[fuzz]'")

from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402


@pytest.fixture
def api_schema(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api_schema")
CHECKS = [schemathesis.checks.not_a_server_error, checks.response_schema_conformance]


@schema.parametrize()
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_server(case):
    answer = case.call_and_validate(checks=CHECKS, timeout=60)
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]
