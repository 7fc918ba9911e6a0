#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A real OpenTelemetry collector takes what workers and dispatcher send.  `make
# otel-collector` builds it of its Go modules, which takes some minutes.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $program = ($ENV{BUILD} // 'build') . '/otel-collector/collector';
plan skip_all => 'no collector: make otel-collector' if !-x $program;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $port = Test::Eventsync::free_port();
my $config = $t->write_file('collector.yaml', <<"CONF");
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:$port
exporters:
  debug:
    verbosity: detailed
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
CONF
my $collector = $t->start('collector', {}, $program, '--config', "file:$config");
ok(wait_for(sub { Test::Eventsync::port_open($port) }, 60), 'the collector listens');

$t->default_conf(http => "eventsync_otlp http://127.0.0.1:$port;");
$t->run_nginx;
my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest');
$t->run_dispatcher('--otlp', "http://127.0.0.1:$port");
my ($trace, $span) = ('0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331');
my $answer = $t->http(POST => '/v1/feeds/orders/events', { authorization =>
    'Bearer ' . $t->master_key, traceparent => "00-$trace-$span-01",
    'content-type' => 'application/json' }, $t->event(id => 'one'));
is($answer->{status}, 201, 'a publish');

# Parts of its text, by name.
sub spans {
    my %spans;
    for (split /^Span #\d+$/m, $collector->stderr . $collector->stdout) {
        my %span = /^ +([A-Z][\w ]*?) *: ?(.*)$/mg;
        $span{attrs} = { /^     -> (\S+): \w+\((.*)\)$/mg };
        $spans{ $span{Name} } = \%span if defined $span{Name};
    }
    return \%spans;
}
ok(wait_for(sub { keys %{ spans() } == 4 }, 30), 'four spans come')
    or diag($collector->stderr);
my $spans = spans();
is($_->{'Trace ID'}, $trace, "$_->{Name}: of the trace") for values %$spans;
my ($post, $commit, $deliver, $attempt)
    = @{$spans}{'POST /feeds/*/events', qw(commit deliver POST)};
is($post->{'Parent ID'}, $span, 'the publish is below its client');
is($post->{Kind}, 'Server', '... a server span');
is($commit->{'Parent ID'}, $post->{ID}, 'the commit is below the publish');
is($deliver->{'Parent ID'}, $span, 'the delivery is below the client');
is($attempt->{'Parent ID'}, $deliver->{ID}, 'the attempt is below the delivery');
is($attempt->{Kind}, 'Client', '... a client span');
is($attempt->{attrs}{'http.response.status_code'}, 200, '... with its status');
is($attempt->{attrs}{'eventsync.endpoint'}, $endpoint, '... and the endpoint');
my ($request) = $recv->requests;
is($request->{headers}{traceparent}, "00-$trace-$attempt->{ID}-01",
    'the receiver gets the attempt as its parent');

is($t->stop_dispatcher, 0, 'the dispatcher ends');
done_testing();
