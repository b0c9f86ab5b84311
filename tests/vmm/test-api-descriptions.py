#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares our tables and requests with Firecracker's own descriptions of its API. Output is TAP.

test-api-descriptions.py FAKE_FIRECRACKER PRINT_REQUESTS DIRECTORY

DIRECTORY has files openapi-VERSION.yaml, as each release of Firecracker brings one.
"""

import json
import os
import re
import subprocess
import sys

import yaml


class Description:
    """The API of one release, as Firecracker describes it."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.tree = yaml.safe_load(file)

    def resolve(self, schema):
        name = schema.get("$ref", "").removeprefix("#/definitions/")
        return self.tree["definitions"][name] if name else schema

    def find(self, method, path):
        """The operation for a request, and the name of its body's schema or None."""
        for pattern, operations in self.tree["paths"].items():
            expression = re.sub(r"\{[^}]*\}", "[A-Za-z0-9_]+", pattern)
            if path == pattern or re.fullmatch(expression, path):
                operation = operations.get(method.lower())
                if operation is None:
                    return None, None
                for parameter in operation.get("parameters", []):
                    if parameter["in"] == "body":
                        return operation, parameter["schema"]
                return operation, None
        return None, None

    def check(self, schema, value, where):
        """Yields what is wrong with a value."""
        schema = self.resolve(schema)
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
        kind = kinds[schema["type"]]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            yield f"{where} is not of type {schema['type']}"
        elif kind is dict:
            yield from self.check_object(schema, value, where)
        elif kind is list:
            for element in value:
                yield from self.check(schema["items"], element, where + "[]")
        elif "enum" in schema and value not in values_of(schema):
            yield f"{where} is {value!r}"
        elif kind is int and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{where} is {value}"

    def check_object(self, schema, value, where):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where} has no {name}"
        for name, member in value.items():
            if name not in properties:
                yield f"{where} has a field {name}"
            else:
                yield from self.check(properties[name], member, f"{where}.{name}")


def values_of(schema):
    # YAML takes a bare Off for a boolean.
    return ["Off" if value is False else value for value in schema["enum"]]


def compare_field(description, name, ours, theirs):
    resolved = description.resolve(theirs)
    if ours["type"] != resolved["type"]:
        yield f"{name} is {resolved['type']}, not {ours['type']}"
    if set(ours.get("values", [])) != set(values_of(resolved) if "enum" in resolved else []):
        yield f"{name} has the values {resolved.get('enum')}, not {ours.get('values')}"
    for bound, key in (("minimum", "min"), ("maximum", "max")):
        if bound in resolved and resolved[bound] != ours[key]:
            yield f"{name} has the {bound} {resolved[bound]}, not {ours[key]}"
    referenced = (resolved.get("items", {}) if resolved["type"] == "array" else theirs).get("$ref")
    if ours.get("schema") and referenced != "#/definitions/" + ours["schema"]:
        yield f"{name} is {referenced}, not {ours['schema']}"


def compare_schema(description, name, ours):
    theirs = description.tree["definitions"][name]
    properties = theirs.get("properties", {})
    for field in set(ours) ^ set(properties):
        yield f"{name}.{field} is only in {'ours' if field in ours else 'theirs'}"
    required = {field for field, entry in ours.items() if entry["required"]}
    for field in required ^ set(theirs.get("required", [])):
        yield f"{name}.{field} is required only in {'ours' if field in required else 'theirs'}"
    for field in set(ours) & set(properties):
        yield from compare_field(description, f"{name}.{field}", ours[field], properties[field])


def compare_tables(description, tables):
    """Yields differences between the stand-in's tables and the description."""
    used = set()
    for request in tables["requests"]:
        operation, schema = description.find(request["method"], request["path"])
        reference = (schema or {}).get("$ref", "").removeprefix("#/definitions/")
        if operation is None or reference != request["schema"]:
            yield f"{request['method']} {request['path']} is {reference}, not {request['schema']}"
        used.add(request["schema"])
    # Schemas that others of the release refer to.
    pending = used - {""}
    seen = set()
    while pending:
        name = pending.pop()
        seen.add(name)
        ours = tables["schemas"][name]
        pending |= {f["schema"] for f in ours.values() if "schema" in f} - seen
        yield from compare_schema(description, name, ours)


def check_requests(description, lines):
    """Yields what is wrong with requests of the client."""
    for line in lines:
        method, path, body = line.split(" ", 2)
        operation, schema = description.find(method, path)
        if operation is None:
            yield f"there is no {method} {path}"
        elif (schema is not None) != (body != ""):
            yield f"{method} {path} has {'a' if body else 'no'} body"
        elif schema is not None:
            yield from description.check(schema, json.loads(body), f"{method} {path}")


def run(program, *arguments, **environment):
    return subprocess.run([program, *arguments], env=environment, check=True, text=True,
                          capture_output=True).stdout


def main(stand_in, print_requests, directory):
    versions = sorted(name.removeprefix("openapi-").removesuffix(".yaml")
                      for name in os.listdir(directory) if name.startswith("openapi-"))
    results = []
    for version in versions:
        description = Description(os.path.join(directory, f"openapi-{version}.yaml"))
        tables = json.loads(run(stand_in, "--print-api", FAKE_FIRECRACKER_VERSION=version))
        lines = run(print_requests, version).splitlines()
        results += [(f"the stand-in for {version} is as it describes itself",
                     list(compare_tables(description, tables))),
                    (f"all {len(lines)} requests for {version} are as it describes them",
                     list(check_requests(description, lines)))]
    results.append(("there are descriptions to compare with", [] if versions else [directory]))
    print(f"1..{len(results)}")
    for number, (what, problems) in enumerate(results, 1):
        print(f"{'not ok' if problems else 'ok'} {number} {what}")
        for problem in problems:
            print(f"# {problem}")
    return any(problems for _, problems in results)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
