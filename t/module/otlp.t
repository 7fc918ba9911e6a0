#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Spans of requests, sent to a collector by a worker's event loop.  A collector
# that fails is never in the way of a request.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Spans;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
$t->partner('acme', feeds => '*', publish => '*');
my $key = $t->partner_key('acme', scopes => 'read,publish');
my $mode = $t->testdir . '/mode';
my %answer = (
    503 => { status => 503, headers => { 'Retry-After' => 1 } },
    400 => { status => 400 }, hang => { hang => 1 },
    chunked => { raw => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "16\r\n{\"partialSuccess\":{\"re\r\n1b\r\njectedSpans\":\"1\",\"x\":[{}]}}\r\n"
        . "0\r\n\r\n" },
    closed => { raw => "HTTP/1.1 200 OK\r\n\r\n{}", close => 1 },
    nonsense => { raw => "what\r\n", close => 1 },
);
my $collector = $t->receiver(sub {
    open my $fh, '<', $mode or return take_all();
    return $answer{ <$fh> // '' } // take_all();
});
sub answers { open my $fh, '>', $mode or die; print $fh $_[0] // ''; close $fh }
sub conf {
    my ($otlp) = @_;
    $t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_otlp $otlp;
    log_format traces '\$request_method \$eventsync_trace_id';
    access_log %%TESTDIR%%/traces.log traces;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_poll on; eventsync_publish on; eventsync_feeds on; }
        location = /metrics { eventsync_metrics on; eventsync_auth off; }
    }
}
CONF
}
my $url = 'http://127.0.0.1:' . $collector->port;
conf("$url/own/traces");
$t->run_nginx;

my $id = '0af7651916cd43dd8448eb211c80319c';
my $span = 'b7ad6b7169203331';
my $sampled = "00-$id-$span-01";
sub trace { my ($n, $flags) = @_; return sprintf "00-%032x-$span-%s", $n, $flags // '01' }
sub ask {
    my ($method, $path, %opts) = @_;
    return $t->http($method => "/v1/feeds/orders/$path", [
        authorization => 'Bearer ' . ($opts{key} // $key),
        map { defined $opts{$_} ? ($_ => $opts{$_}) : () } qw(traceparent content-type) ],
        $opts{body});
}
sub publish {
    my ($trace, @events) = @_;
    return ask(POST => 'events', traceparent => $trace,
        'content-type' => 'application/x-ndjson',
        body => join '', map { $t->event(%$_) . "\n" } @events);
}
sub counted {
    my $text = $t->http(GET => '/metrics')->{body};
    my %n;
    $n{$1}{$2} = $3 while $text =~ /^eventsync_otlp_(spans|requests)_total
        \{process="worker",result="(\w+)"\}\ (\d+)$/mgx;
    return \%n;
}
sub spans { my ($n) = @_;
    ok(wait_for(sub { seen($collector) >= $n }, 30), "$n spans")
        or diag(scalar seen($collector));
    return spans_of($collector) }

###############################################################################
# a request whose trace is sampled

my $answer = publish($sampled, { data => 's3cret' }, {});
is($answer->{status}, 201, 'a publish') or diag($answer->{body});
is(publish(trace(1, '00'), {})->{status}, 201, 'one that is not sampled');
is(publish('invalid', {})->{status}, 201, 'one of no trace');
is(ask(GET => 'events?from=oldest', traceparent => $sampled)->{status}, 200, 'a poll');
is(ask(GET => 'events?from=oldest&limit=x', traceparent => $sampled)->{status}, 400,
    'a bad request');
is(ask(GET => 'none', traceparent => $sampled)->{status}, 404, 'no route');
is(ask(BREW => 'events', traceparent => $sampled)->{status}, 405, 'no method');

my @spans = spans(6);
is(scalar @spans, 6, 'nothing of requests that are not sampled');
my ($request) = $collector->requests;
is("$request->{method} $request->{path}", 'POST /own/traces', 'to the URL');
is($request->{headers}{host}, '127.0.0.1:' . $collector->port, 'with its host');
unlike($_->{body}, qr/s3cret|\Q$key\E/, 'no body and no key') for $collector->requests;

my %of = map { $_->{name} => $_ } @spans;
is_deeply([sort keys %of], ['GET', 'GET /feeds/*/events', 'HTTP /feeds/*/events',
    'POST /feeds/*/events', 'commit'], 'names of few kinds')
    or diag(join "\n", sort keys %of);
is($_->{trace}, $id, "$_->{name}: of the trace") for @spans;
my $post = $of{'POST /feeds/*/events'};
my $epoch = $post->{attrs}{'eventsync.epoch'};
is($post->{parent}, $span, 'a publish is a child of its client\'s span');
is($post->{kind}, 2, '... a server span');
is($post->{flags}, 0x301, '... of a remote parent');
is($post->{service}, 'eventsync', '... of this service');
is_deeply($post->{attrs}, { 'http.request.method' => 'POST',
    'http.route' => '/feeds/*/events', 'http.response.status_code' => 201,
    'url.scheme' => 'http', 'network.protocol.version' => '1.1',
    'eventsync.partner' => 'acme', 'eventsync.feed' => 'orders',
    'eventsync.first' => 1, 'eventsync.last' => 2, 'eventsync.epoch' => $epoch },
    '... with attributes');
like($epoch, qr/^[a-z2-7]+$/, '... and the epoch');
my $commit = $of{commit};
is($commit->{parent}, $post->{id}, 'the commit is a child of the publish');
is_deeply($commit->{attrs}, { 'eventsync.feed' => 'orders', 'eventsync.events' => 2 },
    '... of two events');
ok($commit->{start} >= $post->{start} && $commit->{end} <= $post->{end},
    '... within it');
is($of{'GET'}{attrs}{'http.response.status_code'}, 404, 'a request without a route');
is($of{'GET'}{error}, undef, '... is no error of the server');
is_deeply([map { $_->{traceparent} // '-' } @{ $t->poll_all('orders') }],
    [$sampled, $sampled, trace(1, '00'), '-'], 'events have their client\'s span');

###############################################################################
# a request without a trace, of events with traces

my $n = @spans;
publish(undef, {}, { traceparent => trace(21) }, { traceparent => trace(22, '00') },
    { traceparent => trace(23) }, { traceparent => trace(24) }, { traceparent => trace(23) });
@spans = spans($n + 2);
($post) = grep { $_->{trace} =~ /15$/ } span_named('POST /feeds/*/events', @spans);
is($post->{parent}, $span, 'it continues the first trace that is sampled');
is_deeply($post->{links}, [map { [sprintf('%032x', $_), $span] } 23, 24],
    '... with links to the others');
$n = @spans;

###############################################################################
# a collector that does not take them

my $events = 100;
sub is_counted {
    my ($name, $answer, $kind, $result, $at_least) = @_;
    my $before = counted()->{$kind}{$result};
    answers($answer);
    is(publish(trace(++$events), {})->{status}, 201, "$name: a publish is answered");
    ok(wait_for(sub { counted()->{$kind}{$result} >= $before + $at_least }, 30),
        "$name: counted");
}
$t->allow_errors(qr/collector/);
is_counted('503', 503, requests => retried => 1);
is_counted('all is well', '', spans => exported => 2);
is_counted('nonsense', 'nonsense', requests => retried => 1);
is_counted('chunks', 'chunked', spans => rejected => 1);
is_counted('closed', 'closed', spans => exported => 2);
is_counted('400', 400, spans => refused => 2);
answers('');
$collector->stop;
is_counted('no collector', '', requests => retried => 1);
$collector->resume;
is_counted('it is back', '', spans => exported => 4);
is(counted()->{spans}{dropped}, 0, 'nothing is dropped');
like($t->read_file('error.log'), qr/\[warn\] .*eventsync: the collector of spans does not take them all: it answered 503/,
    'the log says it');
like($t->read_file('error.log'), qr/\[notice\] .*eventsync: the collector takes spans again/,
    '... and that it is over');

###############################################################################
# a share of the requests

conf("$url share=1 buffer=64k");
publish(trace(76), {});
$t->reload;
ok(wait_for(sub { grep { $_->{trace} =~ /4c$/ } span_named('commit', seen($collector)) }, 20),
    'a worker that exits sends what it has');
my @before = seen($collector);
$n = @before;
publish(undef, {});
publish(trace(77, '00'), {});
@spans = spans($n + 2);
splice @spans, 0, $n;
($post) = span_named('POST /feeds/*/events', @spans);
is($post->{parent}, '', 'a request without a trace begins one');
my ($event) = grep { ($_->{traceparent} // '') =~ /$post->{trace}/ } @{ $t->poll_all('orders') };
is($event->{traceparent}, "00-$post->{trace}-$post->{id}-03",
    'which its event has, with the span of the request');
ok(wait_for(sub { $t->read_file('traces.log') =~ /^POST $post->{trace}$/m }, 20),
    'and the access log');

# it never takes more than its buffers
answers('hang');
for (1 .. 120) { ask(GET => 'events?from=oldest&limit=1') }
$collector->stop;
ok(wait_for(sub { ask(GET => 'events?from=oldest&limit=1') for 1 .. 40;
    $collector->resume; $collector->stop;
    counted()->{spans}{dropped} > 0 }, 30), 'spans without room are dropped and counted');

done_testing();
