#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Trace context: from the header fields of a publish into its events, once and
# for good.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
my $key = $t->master_key;
$t->default_conf;
$t->run_nginx;

my $trace = '0af7651916cd43dd8448eb211c80319c';
my $parent = "00-$trace-b7ad6b7169203331-01";
my $other = "00-$trace-00f067aa0ba902b7-00";

sub post {
    my ($type, $body, $headers) = @_;
    my $answer = $t->http(POST => '/v1/feeds/orders/events',
        [authorization => "Bearer $key", 'content-type' => $type,
            map { my $name = $_; map { $name => $_ } ref $headers->{$name}
                ? @{ $headers->{$name} } : $headers->{$name} } keys %$headers],
        $body);
    $answer->{json} = Test::Eventsync::json($answer->{body});
    return $answer;
}
sub one { my ($event, %headers) = @_;
    return post('application/cloudevents+json', $event, \%headers) }
my $last = 0;
sub newest { my $page = $t->poll('orders', after => $last ||
        $t->poll('orders', from => 'oldest', limit => 1)->{oldest});
    $last = $page->{next};
    return @{ $page->{events} } }
sub trace_of { join ' ', map { $_[0]{$_} // '-' } qw(traceparent tracestate) }

my $n = 0;
sub is_trace {
    my ($name, $expected, $headers, %event) = @_;
    my $answer = one($t->event(id => 't' . ++$n, %event), %$headers);
    is($answer->{status}, 201, "$name: published");
    my ($event) = grep { $_->{id} eq "t$n" } newest();
    is(trace_of($event), $expected, $name);
}

###############################################################################
# which context an event has

is_trace('no field', '- -', {});
is_trace('a field', "$parent -", { traceparent => $parent });
is_trace('in capitals', "$parent -", { TraceParent => $parent });
is_trace('with its state', "$parent a=1,b=\"2\\",
    { traceparent => $parent, tracestate => 'a=1 ,, b="2\\' });
is_trace('several states', "$parent a=1,b=2,c=3",
    { traceparent => $parent, tracestate => ['a=1', 'b=2,c=3'] });
is_trace('a state alone', '- -', { tracestate => 'a=1' });
is_trace('an invalid state', "$parent -",
    { traceparent => $parent, tracestate => 'a=1,a=2' });
is_trace('an event with its own', "$other -",
    { traceparent => $parent, tracestate => 'a=1' }, traceparent => $other);
is_trace('an event with an invalid one', 'mine -',
    { traceparent => $parent }, traceparent => 'mine');
is_trace('an event with a state only', '- x=1', { traceparent => $parent },
    tracestate => 'x=1');
is_trace('a later version', "00-$trace-b7ad6b7169203331-01 -",
    { traceparent => "cc-$trace-b7ad6b7169203331-ff-more" });

is_trace("ignored: $_", '- -', { traceparent => $_ }) for "$parent-",
    "ff-$trace-b7ad6b7169203331-01", 'nonsense', uc $parent,
    "00-$trace-0000000000000000-01", '00-' . '0' x 32 . '-b7ad6b7169203331-01';
is_trace('ignored: a field twice', '- -', { traceparent => [$parent, $parent] });

###############################################################################
# all forms of a request

my %trace = (traceparent => $parent, tracestate => 'a=1');
my @events = map { $t->event(id => "f$_", data => 1) } 1 .. 6;
is(post('application/cloudevents-batch+json', "[$events[0],$events[1]]",
    \%trace)->{status}, 201, 'a batch');
is(post('application/x-ndjson', "$events[2]\n$events[3]\n", \%trace)->{status},
    201, 'lines');
is(post('text/plain', 'x', { %trace, 'ce-id' => 'f5', 'ce-source' => '/s',
    'ce-type' => 't', 'ce-specversion' => '1.0' })->{status}, 201,
    'binary mode');
is(post('application/json', ' ' x 20000 . $events[5], \%trace)->{status}, 201,
    'a body that a thread parses');
is_deeply([map { trace_of($_) } newest()], [("$parent a=1") x 6],
    'each event has the context');

###############################################################################
# the same event again

my $event = $t->event(id => 'again', time => undef, data => [1]);
my $stored = one($event, %trace)->{json}{results}[0];
my ($as_stored) = grep { $_->{id} eq 'again' } newest();
for (['the same field', %trace], ['another trace', traceparent => $other],
    ['none'], ['another state', traceparent => $parent, tracestate => 'b=2'])
{
    my ($name, %headers) = @$_;
    my $again = one($event, %headers)->{json}{results}[0];
    is($again->{duplicate} && $again->{cursor}, $stored->{cursor},
        "$name: a duplicate");
}
is(one($event =~ s/\}$/,"traceparent":"$other"}/r)->{json}{results}[0]{cursor},
    $stored->{cursor}, 'an attribute of its own: a duplicate');
is(one($event =~ s/\}$/,"tracer":"1"}/r, %trace)->{status}, 409,
    'another attribute: a conflict');
is(one($event =~ s/\[1\]/[2]/r, %trace)->{status}, 409,
    'other data: a conflict');
my $twice = post('application/x-ndjson',
    $t->event(id => 'd1', traceparent => $other) . "\n"
    . $t->event(id => 'd1') . "\n", \%trace);
is_deeply([map { $_->{duplicate} ? 1 : 0 } @{ $twice->{json}{results} }],
    [0, 1], 'twice in a request with two contexts');
is_deeply([map { trace_of($_) } newest()], ["$other -"],
    'nothing else was stored');
is(trace_of($as_stored), "$parent a=1", 'and the first context stays');

ok($t->verify, 'the store is sound');

done_testing();
