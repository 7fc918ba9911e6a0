#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Verifiers that nobody here wrote: the npm packages `standardwebhooks` and
# `svix` accept what the dispatcher signs, and `eventsyncctl listen` what they
# sign.

use warnings;
use strict;
use utf8;

use HTTP::Tiny;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $node = 't/node';
$ENV{NODE_PATH} = $t->build . '/node_modules';

my @packages = grep { -d "$ENV{NODE_PATH}/$_" } qw(standardwebhooks svix);
plan skip_all => 'needs node and its packages: make test installs them'
    if !@packages;
diag('without svix: npm could not be reached') if @packages < 2;

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
my $recv = $t->receiver(200);
my ($name, $secret) = $t->endpoint('acme', url => $recv->url,
    feeds => 'orders', start => 'oldest');

my @data = ('{"plain":"ascii"}', '{"ü":"žluťoučký 🐎"}',
    '{"number":1.500,"big":12345678901234567890}',
    '{"large":"' . 'x' x 100_000 . '"}', '"text"', 'null');
my $n = 0;
my $events = join '', map {
    sprintf qq({"specversion":"1.0","id":"e%d","source":"/s","type":"t",)
        . qq("data":%s}\n), ++$n, $_
} @data;
utf8::encode($events);
my ($rc, undef, $err) = $t->ctl({ stdin => $events }, 'publish', 'orders');
is($rc, 0, 'events of every kind are published') or diag($err);
$t->run_dispatcher('--allow-http', '--allow-address=127.0.0.0/8');

my @got = $recv->wait_for(scalar @data);
is(scalar @got, scalar @data, 'each is sent');

# Another one, of a rotation: two secrets and a key pair sign.
chomp(my $new = $t->ctl_ok('endpoint', 'rotate', $name));
$t->ctl_ok('endpoint', 'rotate', $name, '--kind=v1a');
($rc, undef, $err) = $t->ctl({ stdin => '{"specversion":"1.0","id":"last",'
    . '"source":"/s","type":"t"}' }, 'publish', 'orders');
is($rc, 0, 'one more, after a rotation') or diag($err);
@got = $recv->wait_for(@data + 1);
my $last = $got[-1];
is(join(' ', $last->{headers}{'webhook-signature'} =~ /(v1a?),/g),
    'v1 v1 v1a', 'is signed by the new secret, the old one and the pair');

for my $package (@packages) {
    is_deeply([verified($package, $secret, @got)],
        [('verified') x (@data + 1)], "$package verifies each");
    is_deeply([verified($package, $new, $last)], ['verified'],
        '... and the last by the new secret');
    my ($bad) = map { { %$_ } } @got;
    $bad->{body} =~ s/ascii/ASCII/;
    like((verified($package, $secret, $bad))[0], qr/^refused/,
        '... and would refuse a changed one');
    like((verified($package, $new, $got[0]))[0], qr/^refused/,
        '... or one of before by the new secret');
}
$t->stop_dispatcher;

###############################################################################
# the other way round

my $port = Test::Eventsync::free_port();
my $listen = $t->ctl_start('listen', "--port=$port", "--secret=$secret");
ok(wait_for(sub { Test::Eventsync::port_open($port) }, 10), 'listen starts');

my $now = time;
my $body = '{"specversion":"1.0","id":"n1","source":"/n","type":"t",'
    . '"subject":"by-npm","feed":"orders","sequence":"00000000000000000001",'
    . '"cursor":"abcd-1","prevcursor":"abcd-0","data":1}';

is(post($now, sign($_, $now, $body), $body), 204,
    "listen takes what $_ signed") for @packages;
ok(wait_for(sub { $listen->stdout =~ /^webhook\s+orders abcd-1 t by-npm$/m },
    10), 'and shows it');
is(post($now, sign($packages[0], $now, $body), "$body "), 401,
    'but not another body');
is(post($now - 1000, sign($packages[0], $now - 1000, $body), $body), 400,
    'nor an old timestamp');
is($listen->stop('TERM'), 0, 'it ends cleanly');

done_testing();

###############################################################################

sub run {
    my $out = qx($_[0]);
    die "$_[0]: exit $?\n" if $?;
    return $out;
}

# What a package says to each request.
sub verified {
    my ($package, $with, @requests) = @_;
    my $json = JSON::PP->new->ascii;
    $t->write_file('requests', join '', map { $json->encode({
        secret => $with, headers => $_->{headers},
        body => do { my $b = $_->{body}; utf8::decode($b); $b }
    }) . "\n" } @requests);
    return split /\n/, run("node $node/verify.js $package <" . $t->testdir
        . '/requests');
}

sub sign {
    my ($package, $at, $text) = @_;
    chomp(my $signature
        = run("node $node/sign.js $package $secret msg_1 $at '$text'"));
    return $signature;
}

sub post {
    my ($at, $signature, $text) = @_;
    my $answer = HTTP::Tiny->new->post("http://127.0.0.1:$port/hook", {
        headers => { 'webhook-id' => 'msg_1', 'webhook-timestamp' => $at,
            'webhook-signature' => $signature }, content => $text });
    return $answer->{status};
}
