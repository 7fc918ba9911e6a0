#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl listen as a receiver of binary mode, and of data only.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use HTTP::Tiny;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = Test::Eventsync->new;
my $port = $t->port(1);
my $listen;

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
$t->default_conf;
$t->run_nginx;
my @poll = ('--poll=http://127.0.0.1:' . $t->port(0) . '/v1', "--key=$key");

sub start {
    $listen = $t->ctl_start('listen', "--port=$port", "--secret=$SECRET", @_);
    ok(wait_for(sub { Test::Eventsync::port_open($port) }), 'listen starts')
        or diag($listen->stderr);
}
sub lines { return split /\n/, $listen->stdout }
sub publish { $t->ctl_ok({ stdin => join '', map { "$_\n" } @_ }, 'publish',
    'orders') }
sub hook {
    my ($body, %headers) = @_;
    my $at = time;
    my $id = $headers{'webhook-id'} //= 'id';
    my $mac = hmac_sha256_base64("$id.$at.$body",
        decode_base64(substr $SECRET, 6));
    $mac .= '=' while length($mac) % 4;
    return HTTP::Tiny->new->post("http://127.0.0.1:$port/", { content => $body,
        headers => { 'webhook-timestamp' => $at,
        'webhook-signature' => "v1,$mac", %headers } });
}

###############################################################################
# binary mode

my $event = '{"specversion":"1.0","source":"/s","type":"t","id":';
publish("$event\"e1\",\"subject\":\"\\u20ac \\\"1%\\\"\",\"data\":{\"a\":1}}");
my ($epoch) = $t->ctl_ok('tail', 'orders') =~ /"cursor":"([^-]+)-1"/;
my $name = $t->endpoint('acme', url => "http://127.0.0.1:$port/hook",
    feeds => 'orders', secret => $SECRET, start => 'oldest', body => 'binary',
    schedule => '0,10ms');
start(@poll, '--feeds=orders', '--poll-every=0');
$t->run_dispatcher;
my $long = '"' . '\\u00fc' x 512 . '"';
publish("$event\"e%2\",\"datacontenttype\":\"text/plain\",\"data\":\"x\"}",
    "$event\"e3\"" . join('', map { ",\"x$_\":$long" } 1 .. 20) . '}',
    "$event\"e4\",\"data_base64\":\"AAH/\"}");
ok(wait_for(sub { grep { /-4 t -$/ } lines() }), 'webhooks in binary mode');
my @lines = grep { !/^duplicate|^healed/ } lines();
is($lines[0], "polled    orders $epoch-1 t \xe2\x82\xac \\\"1%\\\"",
    'a first poll');
is_deeply([@lines[1 .. $#lines]], [map { "webhook   orders $epoch-$_ t -" }
    2 .. 4], 'are taken in order, whatever their data and length');

$t->ctl_ok(qw(endpoint test), $name);
ok(wait_for(sub { (lines())[-1] eq 'test' }), 'a test event');
$t->ctl_ok(qw(endpoint pause), $name);
publish(map { "$event\"f$_\"}" } 1 .. 3);
$t->ctl_ok(qw(endpoint change), $name, '--nudge=1');
$t->ctl_ok(qw(endpoint resume), $name);
ok(wait_for(sub { grep { $_ eq 'nudge     orders' } lines() }), 'a nudge');
is($t->stop_dispatcher, 0, 'stop');
is_deeply([grep { /^polled.*-[5-7] / } lines()],
    [map { "polled    orders $epoch-$_ t -" } 5 .. 7], '... is polled');

my %attrs = (specversion => '1.0', id => 'id', source => '/s', type => 'a%62',
    feed => 'orders', sequence => sprintf('%020d', 8), cursor => "$epoch-8",
    prevcursor => "$epoch-7");
my %ce = map { ("ce-$_" => $attrs{$_}) } keys %attrs;
is(hook('x', %ce)->{status}, 204, 'a made one is taken');
is((lines())[-1], "webhook   orders $epoch-8 ab -", '... and decoded');
is(hook('', %ce, 'ce-cursor' => "$epoch-9", 'ce-prevcursor' => "$epoch-8",
    'ce-sequence' => sprintf('%020d', 9))->{status}, 204,
    'one with no data, too');
for (['another id', 'ce-id' => 'other'], ['no id', 'ce-id' => ''],
    ['half an escape', 'ce-subject' => '%4'], ['no UTF-8', 'ce-subject' =>
    '%ff'], ['no name', 'ce-' => 'x'], ['a name', 'ce-a_b' => 'x'])
{
    my ($why, @wrong) = @$_;
    is(hook('x', %ce, @wrong)->{status}, 400, "refused: $why");
}
is(() = $listen->stderr =~ /a ce- header field is malformed/g, 6,
    '... and told');
is(hook('x', %ce, 'ce-cursor' => 'x')->{status}, 400, 'no event of a feed');
my $challenge = hook('{"challenge":"abc"}', 'ce-specversion' => '1.0',
    'ce-id' => 'id', 'ce-source' => '/eventsync',
    'ce-type' => 'eventsync.challenge');
is($challenge->{content}, '{"challenge":"abc"}', 'a challenge is repeated');
my ($rc) = $t->ctl('verify-integration', '--binary', "--secret=$SECRET",
    "--url=http://127.0.0.1:$port/");
is($rc, 0, 'listen passes verify-integration');
is($listen->stop('TERM'), 0, 'listen ends');

###############################################################################
# data only

start();
is(hook('[1]')->{status}, 400, 'data is no event');
like($listen->stderr, qr/for data only there is "--data-only"/, '... it says');
is($listen->stop('TERM'), 0, 'listen ends');

$t->ctl_ok(qw(endpoint change), $name, '--body=data', '--nudge=');
$t->ctl_ok(qw(endpoint replay), $name, 'orders', '--from=oldest');
start('--data-only');
$t->run_dispatcher;
ok(wait_for(sub { lines() >= 7 }), 'webhooks with data only');
is_deeply([(lines())[0 .. 6]], [map { "data      orders $_ bytes" } 'e1 7',
    'e%2 1', 'e3 0', 'e4 3', map { "f$_ 0" } 1 .. 3], '... are told');
$t->ctl_ok(qw(endpoint test), $name);
ok(wait_for(sub { (lines())[-1] eq 'test' }), 'a test event');
$t->ctl_ok(qw(endpoint change), $name, '--nudge=1');
$t->ctl_ok(qw(endpoint replay), $name, 'orders', '--from=oldest');
ok(wait_for(sub { (lines())[-1] eq 'nudge     orders' }), 'a nudge');
like($listen->stderr, qr/feed "orders": a nudge needs "--poll"/,
    '... that it cannot follow');
is($t->stop_dispatcher, 0, 'stop');
($rc) = $t->ctl('verify-integration', '--data-only', "--secret=$SECRET",
    "--url=http://127.0.0.1:$port/");
is($rc, 0, 'listen passes verify-integration');
is(hook('{"challenge":"abc"}', 'webhook-id' => 'check-1')->{content},
    '{"challenge":"abc"}', 'a challenge is repeated');
my $before = lines();
hook('x', 'webhook-id' => $_, 'eventsync-feed' => 'orders')
    for 'test-1', 'check-1';
is_deeply([(lines())[$before .. $before + 1]],
    [map { "data      orders $_ 1 bytes" } 'test-1', 'check-1'],
    'an event of a feed is neither, whatever its id');
hook('x', 'eventsync-feed' => '../x');
is((lines())[-1], 'data      - id 1 bytes', 'a feed that is none');
is($listen->stop('TERM'), 0, 'listen ends');

start('--data-only', '--status=500');
is(hook('x')->{status}, 500, 'failures are simulated');
is((lines())[-1], 'refused   - id 1 bytes', '... and told');
is($listen->stop('TERM'), 0, 'listen ends');

for my $args (['--log=x'], ['--state=x'], \@poll) {
    my ($rc, undef, $err) = $t->ctl('listen', "--port=$port",
        "--secret=$SECRET", '--data-only', @$args);
    is($rc, 2, "refused with $args->[0]");
    like($err, qr/\Aeventsyncctl: "--data-only" excludes [^\n]*\n\z/,
        '... in one line');
}

done_testing();
