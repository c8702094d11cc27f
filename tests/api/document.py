"""Judges an OpenAPI document: `document.py URL` prints what is wrong with it, and fails if anything is."""

import json
import sys
import urllib.request

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator


def contents(value, place):
    """Every media type object below `value`, with its place."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "content" and isinstance(inner, dict):
                for media_type, content in inner.items():
                    yield f"{place}/content/{media_type}", content
            yield from contents(inner, f"{place}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from contents(inner, f"{place}/{index}")


def faulty_examples(document):
    """Examples that do not fit the schema that they are examples of."""
    for place, content in contents(document, ""):
        schema = content.get("schema", {})
        samples = [content["example"]] if "example" in content else []
        samples += [sample["value"] for sample in content.get("examples", {}).values()]
        if not samples:
            yield f"{place}: no example"
        for sample in samples:
            # With the components beside it, a schema's references lead somewhere.
            for error in OAS31Validator({"components": document["components"], **schema}).iter_errors(sample):
                yield f"{place}: {error.message}"


def main():
    with urllib.request.urlopen(sys.argv[1], timeout=20) as answer:
        document = json.load(answer)
    faults = [f"{error.json_path}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    faults += faulty_examples(document)
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


main()
