"""Reads what weir says of itself with the tools of others, and writes what they understood as JSON.

    read.py openmetrics < text      the strict parser of OpenMetrics
    read.py prometheus < text       that of Prometheus' own form
    read.py yaml < file             the documents of a YAML file
    read.py promql < list           a JSON list of PromQL expressions: null, or what is wrong with each
"""

import json
import sys


def families(parse):
    return [
        {
            "name": family.name,
            "kind": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
        }
        for family in parse(sys.stdin.read())
    ]


def wrong(expression):
    import promql_parser

    try:
        promql_parser.parse(expression)
    except ValueError as error:
        return str(error)
    return None


def understood(what):
    if what == "openmetrics":
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        return families(text_string_to_metric_families)
    if what == "prometheus":
        from prometheus_client.parser import text_string_to_metric_families

        return families(text_string_to_metric_families)
    if what == "yaml":
        import yaml

        return list(yaml.safe_load_all(sys.stdin))
    if what == "promql":
        return [wrong(expression) for expression in json.load(sys.stdin)]
    raise SystemExit(f"read.py {what}: expected openmetrics, prometheus, yaml or promql")


json.dump(understood(sys.argv[1]), sys.stdout)
