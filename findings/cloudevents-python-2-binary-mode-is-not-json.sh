#!/usr/bin/env bash
# PyPI cloudevents 2.2.0, Python 3.11, 2026-11-30
#
# to_binary_event() writes an event's data as the HTTP body.  Of JSON data only
# objects and numbers come out as JSON.  Arrays, true and false come out as
# Python prints them ("['a', None]", "True"), and a string without its quotes,
# all under Content-Type application/json.  A receiver that reads JSON refuses
# the body.  The package's own from_http_event() raises nothing: it returns a
# text instead of the array, and a number instead of the string "12".  Structured
# mode is right.  So is the interface of version 1 (cloudevents.v1), which the
# same package still has.
#
# Seen, datacontenttype "application/json":
#   data          2.2.0 binary    read back by 2.2.0    version 1 binary
#   {"a": None}   {"a": null}     {'a': None}           {"a": null}
#   ["a", None]   ['a', None]     the text of that      ["a", null]
#   True          True            'True'                true
#   "hello"       hello           'hello'               "hello"
#   "12"          12              12                    "12"
set -eu
command -v python3 >/dev/null || exit 77
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --target p cloudevents==2.2.0 > log 2>&1 || { echo 'not to be had: cloudevents 2.2.0'; exit 77; }
cat > t.py <<'P'
import json
from cloudevents.core.bindings.http import (
    from_http_event, from_structured_event, to_binary_event, to_structured_event)
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary
from cloudevents.v1.http import CloudEvent as First

def is_json(body):
    try:
        json.loads(body)
        return True
    except ValueError:
        return False

for data in ({'a': None}, ['a', None], True, 'hello', '12'):
    attributes = {'id': '1', 'source': '/shop', 'type': 'order.paid',
                  'datacontenttype': 'application/json'}
    event = CloudEvent(dict(attributes), data)
    binary = to_binary_event(event)
    assert binary.headers['content-type'] == 'application/json'
    back = from_http_event(binary).get_data()
    structured = from_structured_event(to_structured_event(event)).get_data()
    first = to_binary(First(attributes, data))[1]
    print(repr(data), binary.body.decode(), 'json' if is_json(binary.body) else 'no-json',
          repr(back), 'structured', 'same' if structured == data else 'other',
          'v1', 'same' if json.loads(first) == data else 'other', sep=' | ')
P
PYTHONPATH=p python3 t.py > out
cat out
cat > expected <<'T'
{'a': None} | {"a": null} | json | {'a': None} | structured | same | v1 | same
['a', None] | ['a', None] | no-json | "['a', None]" | structured | same | v1 | same
True | True | no-json | 'True' | structured | same | v1 | same
'hello' | hello | no-json | 'hello' | structured | same | v1 | same
'12' | 12 | json | 12 | structured | same | v1 | same
T
diff expected out || { echo 'CHANGED'; exit 1; }
exit 0
