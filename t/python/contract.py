# SPDX-License-Identifier: BSD-2-Clause

# What t/docs/contract.t adds to schemathesis, which loads this file.

import json

import schemathesis

# The values of the first four must fit the body or the state, which no schema
# can say.  A random one refuses every request, and hides what comes behind it.
# The last one counts for streams only.
LEFT_OUT = {"Content-Digest", "Repr-Digest", "Content-Encoding", "If-Match",
            "Last-Event-ID"}


@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    # In a query, a text is the same as a list of one.  With a body that is an
    # event, ce- fields count for nothing.
    for name, parameter in raw_schema["components"]["parameters"].items():
        if name == "types" or name.startswith("ce-"):
            parameter["schema"] = {"type": "string"}

    for item in raw_schema["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and "parameters" in operation:
                operation["parameters"] = [
                    parameter for parameter in operation["parameters"]
                    if parameter.get("$ref", "").split("/")[-1] not in LEFT_OUT
                ]


# nginx answers TRACE itself, whatever the location says.
@schemathesis.hook
def filter_case(ctx, case):
    return case.method.upper() != "TRACE"


def once(pairs):
    names = [name for name, value in pairs]
    assert len(set(names)) == len(names), "a member stands twice: %s" % names
    return dict(pairs)


# The events of a feed have what their producer wrote, but a problem is ours.
@schemathesis.check
def members_stand_once(ctx, response, case):
    kind = response.headers.get("content-type", [""])[0]
    if kind.startswith("application/problem+json"):
        json.loads(response.content, object_pairs_hook=once)
