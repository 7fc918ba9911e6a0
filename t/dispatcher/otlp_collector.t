#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A collector that is away, slow or wrong is never in the way of a delivery, and
# what becomes of spans is counted.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Spans;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('load');
$t->default_conf(server => 'location = /metrics { eventsync_metrics on; '
    . 'eventsync_auth off; }');
$t->run_nginx;
my $recv = $t->receiver(200);

# The collector answers as a file says.
my $mode = $t->testdir . '/mode';
my $partial = '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no room"}}';
my %answer = (
    503 => { status => 503, headers => { 'Retry-After' => 1 } },
    400 => { status => 400, body => 'no' }, hang => { hang => 1 },
   
    partial => { body => $partial },
);
my $collector = $t->receiver(sub {
    open my $fh, '<', $mode or return take_all();
    return $answer{ <$fh> // '' } // take_all();
});
sub answers { open my $fh, '>', $mode or die; print $fh $_[0] // ''; close $fh }
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub counted {
    my $text = $t->http(GET => '/metrics')->{body};
    my %n;
    $n{$1}{$2} = $3 while $text =~ /^eventsync_otlp_(spans|requests)_total
        \{process="dispatcher",result="(\w+)"\}\ (\d+)$/mgx;
    return \%n;
}
my $span = 'b7ad6b7169203331';
sub sampled { my ($n) = @_; return { traceparent =>
    sprintf '00-%032x-%s-01', $n, $span } }

my $load = $t->endpoint('acme', url => $recv->url('/load'), feeds => 'load',
    start => 'oldest', ordering => 'none');
$t->run_dispatcher('--otlp', 'http://127.0.0.1:' . $collector->port);
my $n = 100;

# Publishes events and waits until they are delivered and counted so.
sub is_counted {
    my ($name, $answer, $kind, $result, $at_least) = @_;
    my $before = counted()->{$kind}{$result};
    my $delivered = came('/load');
    answers($answer);
    put($t, 'load', map { sampled(++$n) } 1 .. 3);
    ok(wait_for(sub { came('/load') == $delivered + 3 }, 20),
        "$name: deliveries go on");
    ok(wait_for(sub { counted()->{$kind}{$result} >= $before + $at_least }, 30),
        "$name: counted");
}

is_counted('503', 503, requests => retried => 1);
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /does not take them all: it answered 503/ }, 20),
    'and logged');
is_counted('all is well', '', spans => exported => 12);
is(counted()->{spans}{dropped}, 0, 'none is dropped');
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /takes spans again/ }, 20),
    'which is logged, too');
is_counted('400', 400, spans => refused => 6);
is_counted('partial success', 'partial', spans => rejected => 1);
answers('');
$collector->stop;
is_counted('no collector', '', requests => retried => 1);
$collector->resume;
is_counted('it is back', '', spans => exported => 12);
is_counted('a slow one', 'hang', spans => dropped => 0);

###############################################################################
# the stop waits for it, but not for long

my $began = time;
$t->stop_dispatcher;
cmp_ok(time - $began, '<', 20, 'a collector that hangs does not hold the stop');

done_testing();
