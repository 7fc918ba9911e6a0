#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Spans of deliveries and attempts, sent to a collector by OTLP/HTTP.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Spans;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('many');
certificate($t);
$t->default_conf(http => <<'CONF');
    log_format spans '$request_uri $content_type $http_x_tenant';
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate %%TESTDIR%%/cert.pem;
        ssl_certificate_key %%TESTDIR%%/key.pem;
        access_log %%TESTDIR%%/spans.log spans;
        location / { return 200 '{}'; }
    }
CONF
$t->run_nginx;
my $recv = $t->receiver(sub {
    my ($r) = @_;
    my $attempt = $r->{headers}{'eventsync-attempt'};
    return { status => 500, headers => { 'webhook-delivery' => 'abort' } }
        if $r->{body} =~ /"deadly"/;
    return $r->{path} =~ /^\/one/ && $attempt < 3 ? 500 : 200;
});

my $collector = $t->receiver(\&take_all);
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub export {
    return ('--otlp', 'http://127.0.0.1:' . $collector->port, @_);
}

my $id = '0af7651916cd43dd8448eb211c80319c';
my $span = 'b7ad6b7169203331';
sub sampled { my ($n) = @_; return { traceparent =>
    sprintf '00-%032x-%s-01', $n, $span } }

###############################################################################
# the command line

for (
    [['--otlp=nonsense'], 'must be the URL of a collector'],
    [['--otlp=ftp://127.0.0.1/'], 'must be the URL'],
    [['--otlp=http://user:secret@127.0.0.1/'], 'credentials belong in'],
    [['--otlp=http://127.0.0.1/?key=secret'], 'credentials belong in'],
    [['--otlp=http://127.0.0.1/', '--otlp-share=2'], '"2"'],
    [['--otlp=http://127.0.0.1/', '--otlp-share='], 'from 0 to 1'],
    [['--otlp-share=0.5'], '--otlp-share requires --otlp'],
    [['--otlp-ca-file=x'], '--otlp-ca-file requires --otlp'],
    [['--otlp-headers-file=x'], '--otlp-headers-file requires --otlp'],
    [['--otlp=http://127.0.0.1/', '--otlp-headers-file='
        . $t->secret_file("no colon\n")], 'must have lines "Name: value"'],
    [['--otlp=http://127.0.0.1/', '--otlp-headers-file='
        . $t->secret_file("a b: c\n")], 'must have lines "Name: value"'],
    [['--otlp=http://127.0.0.1/', '--otlp-headers-file=/nowhere'], '/nowhere'],
    [['--otlp=http://127.0.0.1/', '--otlp-headers-file='
        . $t->write_file('open', "a: b\n")], 'mode|rights|users'],
) {
    my ($args, $why) = @$_;
    my $proc = $t->start('refused', {}, $t->build . '/eventsync-dispatcher',
        '--store', $t->store, @$args);
    my $rc = $proc->wait(20);
    my $said = $proc->stderr;
    ok($rc, "@$args is refused") or diag($rc);
    like($said, qr/$why/, '... and why');
    unlike($said, qr/secret@|key=secret/, '... without a credential');
}

###############################################################################
# one event for each request

my $one = $t->endpoint('acme', url => $recv->url('/one/s3cret?token=s3cret'),
    feeds => 'orders', start => 'oldest', schedule => '0,10ms,10ms');
my $token = $t->secret_file("# for the collector\nAuthorization: Bearer t0ken\r\n\nx-tenant: a:b\n");
put($t, 'orders', { traceparent => "00-$id-$span-01", tracestate => 'a=1' },
    { traceparent => "00-$id-$span-00" }, {}, { traceparent => 'invalid' },
    { traceparent => sprintf('00-%032x-%s-01', 7, $span), subject => 'deadly' });
$t->run_dispatcher(export("--otlp-headers-file=$token"));
ok(wait_for(sub { seen($collector) == 6 }, 30), 'spans come');
my @spans = spans_of($collector);

my ($request) = $collector->requests;
is("$request->{method} $request->{path}", 'POST /v1/traces',
    'to the usual path');
is($request->{headers}{authorization}, 'Bearer t0ken', 'with a header field');
is($request->{headers}{'x-tenant'}, 'a:b', 'and another');
like($request->{headers}{'user-agent'}, qr{^eventsync/\d}, 'by eventsync');
unlike($_->{body}, qr/s3cret|t0ken|"x":1|whsec/, 'no secret and no body')
    for $collector->requests;

my ($delivery) = grep { $_->{trace} eq $id } span_named('deliver', @spans);
is($delivery->{parent}, $span, 'a delivery is a child of the publisher\'s span');
is($delivery->{kind}, 1, '... an internal span');
is($delivery->{flags}, 0x301, '... whose parent is remote');
is($delivery->{error}, undef, '... that succeeded');
my $page = $t->poll('orders', from => 'oldest');
is_deeply($delivery->{attrs}, { 'eventsync.endpoint' => $one,
    'eventsync.partner' => 'acme', 'eventsync.feed' => 'orders',
    'eventsync.cursor' => $page->{events}[0]{cursor},
    'eventsync.attempts' => 3 }, '... with names and the cursor');
is_deeply({ map { $_ => $delivery->{resource}{$_} } qw(service.name process.pid) },
    { 'service.name' => 'eventsync-dispatcher',
        'process.pid' => $t->{dispatcher}->pid }, '... of this process');

my @attempts = sort { $a->{start} <=> $b->{start} }
    grep { $_->{trace} eq $id } span_named('POST', @spans);
is(scalar @attempts, 3, 'three attempts');
is($_->{parent}, $delivery->{id}, 'below the delivery') for @attempts;
is($_->{kind}, 3, 'as client spans') for @attempts;
is($_->{flags}, 0x101, 'with a parent here') for @attempts;
my @sent = grep { ($_->{headers}{traceparent} // '') =~ /-$id-/ } came('/one/s3cret?token=s3cret');
@sent = grep { $_->{headers}{traceparent} =~ /-01$/ } @sent;
is_deeply([map { $_->{id} } @attempts],
    [map { $_->{headers}{traceparent} =~ /-(\w{16})-/ } @sent],
    'each with the id that the receiver has got');
is_deeply([map { $_->{error} } @attempts], ['status', 'status', undef],
    'two failed');
my %attrs = %{ $attempts[1]{attrs} };
is(delete $attrs{'network.peer.port'}, $recv->port, 'the peer');
is_deeply(\%attrs, { 'eventsync.endpoint' => $one,
    'eventsync.partner' => 'acme', 'eventsync.feed' => 'orders',
    'eventsync.cursor' => $page->{events}[0]{cursor},
    'http.request.method' => 'POST', 'http.response.status_code' => 500,
    'http.request.resend_count' => 1, 'error.type' => '500',
    'http.request.body.size' => length $sent[1]{body},
    'server.address' => '127.0.0.1', 'server.port' => $recv->port,
    'url.scheme' => 'http', 'network.peer.address' => '127.0.0.1',
    'network.protocol.version' => '1.1' }, 'attributes of an attempt');
ok($attempts[0]{start} >= $delivery->{start}
    && $attempts[2]{end} <= $delivery->{end} + 1e9, 'within the delivery');

my ($dead) = grep { $_->{trace} =~ /^0+7$/ } span_named('deliver', @spans);
is($dead->{error}, 'dead letter', 'a dead letter ends a delivery');
is($dead->{attrs}{'eventsync.attempts'}, 1, '... after one attempt');
is(scalar(grep { $_->{trace} !~ /^(?:$id|0+7)$/ } @spans), 0,
    'nothing of events that are not sampled');
SKIP: {
    skip 'the protocol is not here: make otlp-proto', 1 unless official();
    pass('each span was decoded by the official protocol');
}

###############################################################################
# a request of several events

my $batch = $t->endpoint('acme', url => $recv->url('/batch'), feeds => 'many',
    start => 'oldest', batch => 4);
put($t, 'many', {}, map { sampled($_) } 11 .. 13);
ok(wait_for(sub { grep { $_->{trace} =~ /0d$/ } seen($collector) }, 30),
    'spans of a batch');
@spans = grep { $_->{attrs}{'eventsync.endpoint'} eq $batch } spans_of($collector);
my %of = map { $_->{trace} => $_->{id} } span_named('deliver', @spans);
is_deeply([sort keys %of], [map { sprintf '%032x', $_ } 11 .. 13],
    'a delivery of each event');
my @posts = span_named('POST', @spans);
is(scalar @posts, 1, 'one attempt');
is($posts[0]{attrs}{'eventsync.batch.size'}, 4, '... of four events');
is($posts[0]{parent}, $of{ sprintf '%032x', 11 }, '... below the first');
is_deeply($posts[0]{links}, [map { [$_, $of{$_}] }
    map { sprintf '%032x', $_ } 12, 13], '... with links to the others');

###############################################################################
# a share of the events without a trace

$t->ctl_ok(qw(endpoint remove), $_) for $one, $batch;
$t->stop_dispatcher;
$t->run_dispatcher(export('--otlp-share=1'));
my @ends = map { scalar $t->endpoint('acme', url => $recv->url("/share$_"),
    feeds => 'orders', start => 'latest') } 1, 2;
ok(wait_for(sub { 2 == grep { ($_->{behind} // '') eq '0' } map {
    status_lines($t, $_) } @ends }, 20), 'two endpoints');
put($t, 'orders', {}, { traceparent => "00-$id-$span-00" });
ok(wait_for(sub { came('/share1') == 2 && came('/share2') == 2 }, 20),
    'are sent events');
ok(wait_for(sub { 4 == grep { $_->{attrs}{'eventsync.endpoint'} =~ /^$ends[0]|$ends[1]$/ }
    seen($collector) }, 20), 'and spans come');
@spans = grep { $_->{attrs}{'eventsync.endpoint'} =~ /^$ends[0]|$ends[1]$/ }
    spans_of($collector);
my %traces = map { $_->{trace} => 1 } @spans;
is(scalar keys %traces, 1, 'of one trace, of the event that had none');
is_deeply([map { $_->{parent} } span_named('deliver', @spans)], ['', ''],
    'which begins with the deliveries');
my ($of_mine) = keys %traces;
like((came('/share2'))[0]{headers}{traceparent}, qr/^00-$of_mine-\w{16}-01$/,
    'and goes on to the receiver');

is($t->stop_dispatcher, 0, 'it stops');

###############################################################################
# TLS

my $tls = 'https://127.0.0.1:' . $t->port(1);
for my $case ([], ["--otlp-ca-file=@{[ $t->testdir ]}/cert.pem"]) {
    my $dispatcher = $t->run_dispatcher("--otlp=$tls/spans", '--otlp-share=1',
        "--otlp-headers-file=$token", @$case);
    put($t, 'orders', {});
    ok(wait_for(sub { @$case ? -s $t->testdir . '/spans.log'
        : $dispatcher->stderr =~ /does not take them all: it does not answer/ }, 30),
        @$case ? 'with its certificate' : 'a collector without a trusted certificate');
    is(-s $t->testdir . '/spans.log', 0, '... is sent nothing') if !@$case;
    is($t->stop_dispatcher, 0, '... and the dispatcher stops');
}
like($t->read_file('spans.log'), qr{^/spans application/json a:b$}m,
    'the URL is used as it is, with the header fields');
done_testing();
