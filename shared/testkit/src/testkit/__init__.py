"""Never shipped: fixtures, conformance suites, scenario, fault tools."""
