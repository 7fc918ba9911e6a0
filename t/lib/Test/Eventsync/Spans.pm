# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Spans;

# Spans that a collector got, decoded by OpenTelemetry's own protocol: the .proto
# files as protoc has compiled them, from PyPI (make otlp-proto).  Without them
# the spans are read as plain JSON.

use warnings;
use strict;

use File::Temp ();
use JSON::PP;

use Exporter 'import';
our @EXPORT = qw(official spans_of seen span_named take_all);

# Parses each body strictly, and makes of it what the wire format would carry.
# The JSON of OTLP has ids in hexadecimal, where protobuf's JSON has base64.
my $DECODE = <<'PYTHON';
import base64, json, sys
sys.path.insert(0, sys.argv[1])
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

def base64_ids(value):
    if isinstance(value, list):
        return [base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: base64.b64encode(bytes.fromhex(item)).decode()
            if name in ('traceId', 'spanId', 'parentSpanId')
            else base64_ids(item) for name, item in value.items()}

for line in sys.stdin:
    request = trace_service_pb2.ExportTraceServiceRequest()
    json_format.Parse(json.dumps(base64_ids(json.loads(line))), request)
    again = trace_service_pb2.ExportTraceServiceRequest()
    again.ParseFromString(request.SerializeToString())
    for span in (s for r in again.resource_spans for p in r.scope_spans for s in p.spans):
        assert len(span.trace_id) == 16 and any(span.trace_id), span
        assert len(span.span_id) == 8 and any(span.span_id), span
        assert len(span.parent_span_id) in (0, 8), span
        assert span.start_time_unix_nano and span.end_time_unix_nano >= span.start_time_unix_nano, span
        assert all(len(l.trace_id) == 16 and len(l.span_id) == 8 for l in span.links), span
        assert len({a.key for a in span.attributes}) == len(span.attributes), span
    text = json_format.MessageToDict(again)
    print(json.dumps(text))
PYTHON

# The directory of the protocol, or undef.
sub official {
    my $dir = ($ENV{BUILD} // 'build') . '/otlp-proto';
    return -d "$dir/opentelemetry" ? $dir : undef;
}

# Decodes the bodies of all requests to a collector, without repetitions.
# Returns a hash for each span:
#
#     trace, id, parent (hexadecimal, or ''), name, kind (number), attrs (hash),
#     links (list of [trace, id]), error (text, or undef), start, end (ns),
#     flags, service
sub spans_of {
    my ($collector) = @_;
    my @bodies = bodies($collector);
    my @decoded = map { JSON::PP->new->utf8->decode($_) } @bodies;
    if (my $dir = official()) {
        my $file = File::Temp->new;
        print $file map { "$_\n" } @bodies;
        close $file;
        my $script = File::Temp->new;
        print $script $DECODE;
        close $script;
        my @lines = `python3 $script $dir < $file`;
        die "the protocol does not take it: exit $?\n" if $? || @lines != @bodies;
        @decoded = map { hexadecimal(JSON::PP->new->utf8->decode($_)) } @lines;
    }
    return map { request($_) } @decoded;
}

# The same without the protocol, which takes a second to load: for waiting.
sub seen {
    my ($collector) = @_;
    return map { request(JSON::PP->new->utf8->decode($_)) } bodies($collector);
}

sub request {
    my ($request) = @_;
    return map { my $r = $_; map { one($_, attrs_of($r->{resource})) }
            map { @{ $_->{spans} } } @{ $r->{scopeSpans} } }
        @{ $request->{resourceSpans} };
}

sub bodies {
    my ($collector) = @_;
    my (%seen, @bodies);

    for my $request ($collector->requests) {
        die "not a request of spans: $request->{method} $request->{path}\n"
            if "$request->{method} $request->{path}" !~ m{^POST /\w.*traces$}
            || $request->{headers}{'content-type'} ne 'application/json';
        push @bodies, $request->{body} if !$seen{ $request->{body} }++;
    }
    return @bodies;
}

sub hexadecimal {
    my ($value) = @_;
    return [ map { hexadecimal($_) } @$value ] if ref $value eq 'ARRAY';
    return $value if ref $value ne 'HASH';
    require MIME::Base64;
    return { map { $_ => /^(?:traceId|spanId|parentSpanId)$/
            ? unpack('H*', MIME::Base64::decode_base64($value->{$_}))
            : hexadecimal($value->{$_}) } keys %$value };
}

sub attrs_of {
    my ($of) = @_;
    return { map { $_->{key} => (values %{ $_->{value} })[0] }
            @{ $of->{attributes} // [] } };
}

my %KIND = (SPAN_KIND_INTERNAL => 1, SPAN_KIND_SERVER => 2, SPAN_KIND_CLIENT => 3);

sub one {
    my ($span, $resource) = @_;
    return { trace => $span->{traceId}, id => $span->{spanId},
        parent => $span->{parentSpanId} // '', name => $span->{name},
        kind => $KIND{ $span->{kind} } // $span->{kind}, attrs => attrs_of($span),
        links => [ map { [@{$_}{qw(traceId spanId)}] } @{ $span->{links} // [] } ],
        error => $span->{status} ? $span->{status}{message} : undef,
        start => $span->{startTimeUnixNano}, end => $span->{endTimeUnixNano},
        flags => $span->{flags}, service => $resource->{'service.name'},
        resource => $resource };
}

sub span_named {
    my ($name, @spans) = @_;
    return grep { $_->{name} eq $name } @spans;
}

# An answer that takes all, as a collector gives it.
sub take_all { return { headers => { 'Content-Type' => 'application/json' },
    body => '{"partialSuccess":{}}' } }

1;
