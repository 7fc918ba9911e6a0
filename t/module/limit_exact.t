#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Rates are exact: what two workers admit is what the model admits, to the
# request.

use warnings;
use strict;

use IO::Select;
use List::Util qw(sum0);
use Test::More;
use Time::HiRes qw(clock_gettime sleep CLOCK_MONOTONIC);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant SEED => $ENV{ES_LIMIT_SEED} || 20261123;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');

# reuseport: connections are spread over both workers, not taken by the first
$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    keepalive_requests 100000;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        add_header X-Pid $pid always;

        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_limit poll rate=1r/d burst=40;
            eventsync_limit publish rate=1r/d burst=60;

            location /paced/ {
                eventsync_limit poll rate=50r/s burst=50;
            }

            location /both/ {
                eventsync_limit waits max=3;
            }
        }
    }
}
CONF
$t->run_nginx;

my %key = map { $_ => $t->partner_key($_, feeds => '*', publish => '*') }
    qw(herd mix paced both);

sub start {
    my ($name, %opts) = @_;
    my $path = ($opts{place} // '') . '/feeds/orders/events'
        . ($opts{query} // '');
    my %headers = (authorization => "Bearer $key{$name}");

    return $t->http_start(GET => $path, \%headers) unless $opts{events};
    return $t->http_start(POST => $path,
        { %headers, 'content-type' => 'application/x-ndjson' },
        join "\n", map { $t->event } 1 .. $opts{events});
}

sub ask { return $t->http_end(start(@_)) }

sub left {
    my ($answer) = @_;
    my ($left) = $answer->{headers}{ratelimit} =~ /;r=(\d+)/;
    return $left;
}

note('seed ' . SEED);
srand(SEED);

###############################################################################
# all at once: nothing is earned meanwhile, so it is the burst and no more

my @calls = map { start('herd') } 1 .. 120;
my @answers = map { $t->http_end($_) } @calls;
my %pids = map { $_->{headers}{'x-pid'} => 1 } @answers;
is(scalar(keys %pids), 2, 'both workers are asked');
is(scalar(grep { $_->{status} == 200 } @answers), 40,
    'of 120 at once the burst is admitted');
is(scalar(grep { $_->{status} == 429 } @answers), 80, 'and the rest refused');
is_deeply([ sort { $a <=> $b } map { left($_) }
    grep { $_->{status} == 200 } @answers ], [ 0 .. 39 ],
    'each is told another rest');

# Costs of 1 to 4 events; whatever the order, the sum is within the burst, and
# what was refused would not have fitted into what is left, but for the one unit
# that the other worker may have held for a request that it then refused.
my @costs = map { 1 + int rand 4 } 1 .. 60;
@calls = map { start('herd', events => $_) } @costs;
@answers = map { $t->http_end($_) } @calls;
my @taken = grep { $answers[$_]{status} == 201 } 0 .. $#costs;
my @refused = grep { $answers[$_]{status} == 429 } 0 .. $#costs;
my $sum = sum0(@costs[@taken]);
is(@taken + @refused, @costs, 'publishes are admitted or refused');
cmp_ok($sum, '<=', 60, 'events are not more than the burst');
ok(!(grep { $_ < 60 - $sum } @costs[@refused]),
    "and none was refused for which there was room ($sum of 60)");
is(scalar(@{ $t->poll_all('orders') }), $sum, 'just those are stored');

###############################################################################
# one after the other: each answer is the model's

my %rest = (poll => 40, publish => 60);
my @wrong;
for my $n (1 .. 120) {
    my $policy = rand() < 0.5 ? 'poll' : 'publish';
    my $cost = $policy eq 'poll' ? 1 : 1 + int rand 4;
    my $admitted = $cost <= $rest{$policy};

    $rest{$policy} -= $cost if $admitted;
    my $answer = ask('mix', $policy eq 'poll' ? () : (events => $cost));
    my $expected = !$admitted ? 429 : $policy eq 'poll' ? 200 : 201;
    push @wrong, "$n: $policy $cost: $answer->{status}, $answer->{headers}{ratelimit}"
        if $answer->{status} != $expected
        || left($answer) != $rest{$policy}
        || $answer->{headers}{ratelimit} !~ /^"$policy";/;
}
is_deeply(\@wrong, [], 'a seeded mix is answered as the model does');

###############################################################################
# in the course of time: burst + time / interval, by the server's own clock

# The clock is the machine's, so what the server saw lies between what this
# process saw just before and just after.
sub now { return clock_gettime(CLOCK_MONOTONIC) }

my ($burst, $interval, $admitted, $idle) = (50, 0.02, 0, 0);
my $sent = now();
ask('paced', place => '/paced')->{status} == 200 and $admitted++;
my $received = now();
my ($low, $high) = (0, 0);
while ($low < 2.5) {
    my $before = now();
    $admitted++ if ask('paced', place => '/paced')->{status} == 200;
    $low = $before - $received;
    $high = now() - $sent;

    # full, so that time has passed in which nothing was earned
    $idle = 1 if $admitted <= $high / $interval;
}
cmp_ok($admitted, '<=', int($burst + $high / $interval),
    "not more than was earned in $high s");
SKIP: {
    skip 'this machine was too slow to use up what was earned', 1 if $idle;
    cmp_ok($admitted, '>=', int($burst + $low / $interval) - 1,
        "and not less than in $low s");
}

###############################################################################
# several policies: all are asked before any is charged

# Who asks meanwhile may be counted before one of those that are to wait, which
# is then refused: it is sent again.
sub all_wait {
    my ($calls, %opts) = @_;
    for my $call (@$calls) {
        next unless IO::Select->new($call->{sock})->can_read(0);
        $t->http_end($call);
        $call = start('both', %opts);
    }
    sleep 0.2;
}

my ($epoch) = $t->poll('orders', from => 'latest')->{next};
my %wait = (place => '/both', query => "?after=$epoch&wait=30");
my @waiting;
for (1 .. 3) {
    push @waiting, start('both', %wait);
}

# how many there are is told by who is refused
my $answer;
ok(wait_for(sub {
    all_wait(\@waiting, %wait);
    $answer = ask('both', place => '/both', query => "?after=$epoch&wait=1");
    return $answer->{status} == 429;
}, 20), 'a fourth does not wait');
is_deeply(Test::Eventsync::json($answer->{body})->{'violated-policies'},
    ['waits'], 'because of who waits');
like($answer->{headers}{ratelimit}, qr/^"poll";r=(\d+);t=\d+, "waits";r=0$/,
    'both are told');
my ($left) = left($answer);
for (1 .. 5) {
    $answer = ask('both', %wait);
    last if $answer->{status} != 429 || left($answer) != $left;
}
is(left($answer), $left, 'and what refuses charges nothing');
is(left(ask('both', place => '/both')), $left - 1, 'who does not wait may');

ask('both', place => '/both') for 1 .. $left - 1;
$answer = ask('both', %wait);
is_deeply(Test::Eventsync::json($answer->{body})->{'violated-policies'},
    [qw(poll waits)], 'all that refuse are told');

$t->publish('orders', { id => 'end' });
is($t->http_end($_)->{status}, 200, 'who waited is answered') for @waiting;
$answer = ask('both', %wait, query => '?from=oldest&wait=30');
is_deeply(Test::Eventsync::json($answer->{body})->{'violated-policies'},
    ['poll'], 'then one refuses');
$t->ctl_ok('partner', 'change', 'both', '--limit-poll=1r/d,burst=100');
my %held = (%wait, query => '?from=latest&wait=30');
my @held = map { start('both', %held) } 1 .. 3;
ok(wait_for(sub {
    all_wait(\@held, %held);
    ask('both', place => '/both', query => '?from=latest&wait=1')->{status}
        == 429;
}, 20), 'and what was refused by one was not counted by the other');
$t->publish('orders', { id => 'really' });
is(scalar(grep { $t->http_end($_)->{status} == 200 } @held), 3,
    'all three of them waited');

done_testing();
