#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The event of docs/http.md: the request that publishes it, its answer, and what
# is delivered are what really goes over the wire.  And what the page says of
# `time` and of repeating an event.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
open my $fh, '<', 'docs/http.md' or die;
my ($page) = do { local $/; <$fh> } =~ /^## An event\n(.*?)^## /ms;
my ($exchange, $event) = $page =~ /^```\w*\n(.*?)^```\n/msg;
my ($request, $answer) = split /^(?=HTTP)/m, $exchange;
my ($line, $fields, $body) = $request =~ /\A(POST \S+)\n(.*?)\n\n(.*)\n\n\z/s
    or die;
my ($path) = $line =~ /(\S+)$/;
my %fields = map { /^(.*?): (.*)/ ? (lc $1 => $2) : () } split /\n/, $fields;

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
my $recv = $t->receiver(200);
$t->default_conf(location => 'eventsync_sse on;');
$t->run_nginx;
$t->run_dispatcher;

my ($number) = $event =~ /"cursor":"k3f9-(\d+)"/;
$t->ctl_ok({ stdin => join '', map { $t->event . "\n" } 2 .. $number },
    'publish', 'orders');
my ($epoch) = $t->poll('orders', key => $key, from => 'latest')->{latest}
    =~ /^(.*)-/;
$t->endpoint('acme', url => $recv->url, feeds => 'orders');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status') =~ /orders/ }),
    'an endpoint that is sent what comes');

$fields{authorization} =~ s/esk_\S+/$key/;
my $came = $t->http(POST => $path, \%fields, $body);
my ($status, $head, $result) = $answer =~ /\AHTTP\S* (\d+).*?\n(.*?)\n\n(.*)\n\z/s;
s/k3f9/$epoch/g for $result, $event;
chomp $event;
is($came->{status}, $status, 'the documented request is answered as documented');
is($came->{body}, $result, 'with the documented body');
for (split /\n/, $head) {
    my ($name, $value) = /^(.*?): (.*)/;
    is($came->{headers}{lc $name}, $value, "and $name");
}

my $cursor = "$epoch-" . ($number - 1);
my $polled = $t->http(GET => "$path?after=$cursor", { %fields,
    accept => 'application/x-ndjson' })->{body};
my ($time) = $polled =~ /"time":"([^"]+)"/;
$event =~ s/"time":"[^"]+"/"time":"$time"/;
is($polled, "$event\n", 'a poll has the documented event, byte for byte');
is($t->http(GET => "$path?after=$cursor", \%fields)->{body} =~ s/.*?\[//r
    =~ s/\],"next".*//r, $event, 'as JSON, too');
ok(wait_for(sub { $recv->requests >= 1 }), 'a webhook comes');
is(($recv->requests)[0]{body}, $event, 'with the same bytes');

my @members = map { /`(\w+)`/g } map { (split /\|/)[1] } $page =~ /^(\|.*)$/mg;
my %known = map { $_ => 1 } @members;
is_deeply([grep { !$known{$_} } sort keys %{ decode_json($event) }], [],
    'the page has each of its members');

###############################################################################
# time, and repeating

sub post {
    my (%event) = @_;
    my $answer = $t->http(POST => $path, \%fields, encode_json({
        specversion => '1.0', source => '/s', type => 't', %event }));
    return ($answer->{status}, decode_json($answer->{body}));
}
sub last_time { $t->poll('orders', key => $key, after => $_[0])
    ->{events}[0]{time} }

my ($first, $results) = post(id => 'untimed');
my $at = $results->{results}[0]{cursor};
(my $before = $at) =~ s/(\d+)$/$1 - 1/e;
my $filled = last_time($before);
like($filled, qr/^\d{4}-\d\d-\d\dT.*Z$/, 'the store fills `time` in');
my ($again, $repeated) = post(id => 'untimed');
is("$again $repeated->{results}[0]{cursor}", "201 $at",
    'repeated as it was sent it is a duplicate');
my ($conflict, $problem) = post(id => 'untimed', time => $filled);
is("$conflict $problem->{type}", '409 urn:eventsync:problem:conflict',
    'repeated with the `time` that it was given it is a conflict');
post(id => 'timed', time => '2026-11-23T12:00:00Z');
is((post(id => 'timed'))[0], 409, 'so it is when it had one and has none now');
my ($same, $duplicate) = post(id => 'timed', time => '2026-11-23T12:00:00Z');
ok($duplicate->{results}[0]{duplicate}, 'and with the same it is a duplicate');

is($t->stop_dispatcher, 0, 'the dispatcher ends cleanly');

done_testing();
