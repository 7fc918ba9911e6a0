#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What one endpoint or one partner may take of what all share: places in
# flight, turns, descriptors.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(bulk other);
$t->partner($_, feeds => '*') for qw(greedy small);

# "slow" after its first answer only, so that it is trusted.
my %first;
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($kind, $s) = $request->{path} =~ m{^/(\w+)-([\d.]+)} or return 200;

    return { delay => $first{ $request->{path} }++ ? $s : 0 }
        if $kind eq 'slow';
    return { raw => "HTTP/1.1 $s Answer\r\nContent-Length: 9000\r\n\r\nx" }
        if $kind eq 'headers';
    return { hang => 1 };
});

sub endpoint {
    my ($partner, $path, %opts) = @_;
    return scalar $t->endpoint($partner, url => $recv->url($path),
        feeds => 'orders', schedule => '0,100ms,100ms', %opts);
}
sub came { my ($path) = @_;
    grep { $_->{path} =~ m{^\Q$path\E(?:/|$)} } $recv->requests }
sub remove { $t->ctl_ok('endpoint', 'remove', $_) for @_ }

# It is sent the next event of its feed, and how long that takes.
sub sent {
    my ($path, $feed) = @_;
    my $began = time();
    my $n = came($path);
    put($t, $feed, 1);
    wait_for(sub { came($path) > $n }, 15) or return 99;
    return time() - $began;
}

# Requests of a path that were in flight at once, of those that take s seconds,
# which the first does not.
sub at_once {
    my ($path, $s) = @_;
    my (undef, @times) = map { $_->{time} } came($path);
    my $most = 0;
    for my $i (0 .. $#times) {
        my $n = grep { $_ <= $times[$i] && $_ > $times[$i] - $s } @times;
        $most = $n if $n > $most;
    }
    return $most;
}

###############################################################################
# turns: who is new, beside one with a backlog

my $busy = endpoint('acme', '/slow-2', feeds => 'bulk', start => 'oldest',
    ordering => 'none', in_flight => 32);
my @paused = map { endpoint('acme', "/paused$_", feeds => 'bulk',
    start => 'oldest') } 1 .. 3;
$t->ctl_ok('endpoint', 'pause', $_) for @paused;
put($t, 'bulk', 600);
$t->run_dispatcher('--max-connections=8');
ok(wait_for(sub { came('/slow-2') > 9 }), 'one is sent its backlog');
cmp_ok(at_once('/slow-2', 1.5), '<=', 4, 'by half of the places');
my $new = endpoint('acme', '/new', feeds => 'other');
ok(wait_for(sub { put($t, 'other', 1); came('/new') }), 'a new one');
ok(wait_for(sub { came('/new') > 1 || (put($t, 'other', 1), 0)[1] }),
    'is sent its events');
my $theirs = endpoint('small', '/theirs', feeds => 'other');
ok(wait_for(sub { put($t, 'other', 1); came('/theirs') }),
    'so is one of another partner');
cmp_ok(scalar came('/slow-2'), '<', 600, 'while the backlog goes out');

my $pid = $t->{dispatcher}->pid;
sub cpu { my @f = split ' ', $t->read_file("/proc/$pid/stat");
    return ($f[13] + $f[14]) / 100 }
remove($busy);
my $before = cpu();
sleep 1;
cmp_ok(cpu() - $before, '<', 0.4, 'paused ones cost nothing');
remove(@paused, $new, $theirs);
is($t->stop_dispatcher, 0, 'stop');

###############################################################################
# places: partners that want all of them

my @greedy = map { endpoint('greedy', "/slow-20/$_", ordering => 'none',
    in_flight => 32, feeds => 'bulk', start => 'oldest') } 1 .. 4;
my $small = endpoint('small', '/small');
$t->run_dispatcher('--max-connections=16');
ok(wait_for(sub { came('/slow-20') >= 12 }), 'slow answers');
cmp_ok(sent('/small', 'orders'), '<', 12, 'keep nobody else waiting');
cmp_ok(scalar came('/slow-20'), '<=', 12, 'with half of the places');
remove(@greedy);

@greedy = map { endpoint('greedy', "/slow-1/$_", ordering => 'none',
    in_flight => 32, feeds => 'bulk', start => 'oldest') } 1, 2;
ok(wait_for(sub { came('/slow-1') >= 12 }), 'one of the same partner');
push @greedy, endpoint('greedy', '/slow-1/3', ordering => 'none',
    in_flight => 32, feeds => 'bulk', start => 'oldest');
ok(wait_for(sub { came('/slow-1/3') >= 8 }, 40), 'has its turn, too');
remove(@greedy);

@greedy = map { endpoint('greedy', '/hang-1', feeds => 'bulk',
    start => 'oldest', timeout => '30s') } 1 .. 20;
ok(wait_for(sub { came('/hang-1') >= 4 }), 'endpoints that never answer');
my $fresh = endpoint('small', '/fresh');
cmp_ok(sent('/fresh', 'orders'), '<', 15, 'nor do they keep a new one waiting');
cmp_ok(scalar came('/hang-1'), '<=', 4, 'with half of the places of such');
remove(@greedy, $fresh);

###############################################################################
# answers whose headers come, and the rest does not

my $headers = endpoint('greedy', '/headers-200', timeout => '60s');
my $failing = endpoint('greedy', '/headers-500', timeout => '60s',
    schedule => '0');
put($t, 'orders', 1);
ok(wait_for(sub { attempts($t, $headers) && attempts($t, $failing) }, 15),
    'an answer that does not end');
my ($attempt) = attempts($t, $headers);
is($attempt->{class}, 'ok', 'is one');
cmp_ok($attempt->{latency_us}, '>', 4_000_000, 'after some seconds');
cmp_ok($attempt->{latency_us}, '<', 10_000_000, 'and not many');
($attempt) = attempts($t, $failing);
is("$attempt->{class} $attempt->{status}", 'status 500', 'also a failure');
remove($headers, $failing);

###############################################################################
# test events

my $tested = endpoint('greedy', '/hang-2', timeout => '8s');
my $also = endpoint('greedy', '/also');
my @tests = map { $t->ctl_start(qw(endpoint test), $tested) } 1 .. 3;
ok(wait_for(sub { came('/hang-2') >= 2 }), 'test events that nobody answers');
cmp_ok(sent('/small', 'orders'), '<', 6, 'keep nobody waiting');
cmp_ok(scalar came('/hang-2'), '<=', 2, 'two of them are in flight');
ok(wait_for(sub { attempts($t, $tested) == 3 }, 40), 'the others follow');
cmp_ok(at_once('/hang-2', 7.5), '<=', 2, 'two at a time');
my @requests = map { $_->{line} =~ /request=(\d+)/ } attempts($t, $tested);
is_deeply(\@requests, [sort { $a <=> $b } @requests], 'in order');
$t->ctl_ok(qw(endpoint test), $also);
ok(wait_for(sub { grep { $_->{headers}{'webhook-id'} =~ /^test-/ }
    came('/also') }), 'others have theirs');
$_->wait(20) for @tests;
remove($tested, $also);

###############################################################################
# descriptors

sub limit { system('prlimit', "--pid=$pid", "--nofile=$_[0]:") == 0 }

my $plain = endpoint('small', '/plain', schedule => '0,1h');
put($t, 'orders', 1);
ok(wait_for(sub { came('/plain') == 1 }), 'before');
$pid = $t->{dispatcher}->pid;
my $poor = endpoint('small', '/poor', schedule => '0,1h', feeds => 'other');
ok(limit(4), 'no descriptors are left');
$t->ctl_ok('endpoint', 'change', $poor, '--in-flight=2');
put($t, 'other', 1);
ok(wait_for(sub { attempts($t, $poor) }), 'an attempt without a socket');
is((attempts($t, $poor))[0]{class}, 'internal', 'is not the receiver\'s');
sleep 2;
cmp_ok(scalar attempts($t, $poor), '<', 5, 'is not made all the time');
ok(limit(1024), 'there are again');
ok(wait_for(sub { came('/poor') == 1 }), 'it is delivered');
is((came('/poor'))[0]{headers}{'eventsync-attempt'}, 1,
    'and none was used up');
like($t->{dispatcher}->stderr, qr/cannot create a socket/, 'the log says so');
$t->allow_errors(qr/cannot create a socket/);

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'verify');
done_testing();
