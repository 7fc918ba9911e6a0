#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What an endpoint's failures hold back: pauses, probes, and how many events
# may wait for a retry.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;


my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
my $t = webhook_store();
my $later = $t->receiver({ status => 503, headers => { 'Retry-After' => 4 } });
my $failing = $t->receiver(500);

sub endpoint {
    my ($on, $path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $on->url($path),
        feeds => 'orders', start => 'latest', %opts);
}
sub begin { return map { $_->{time} } $_[0]->requests }

###############################################################################
# a receiver that is busy costs an event no step of its schedule

{
    my $busy = $t->receiver(sub {
        return 200 if $_[0]{n} > 3;
        return $_[0]{n} == 2
            ? { status => 503, headers => { 'Retry-After' => 1 } } : 429;
    });
    my $name = endpoint($busy, '/hook', schedule => '0');
    $t->run_dispatcher;
    put($t, 'orders', 1);
    ok(wait_for(sub { $busy->requests == 4 }, 30),
        'an event is delivered after 429, 503 and 429');
    is(dead($t, $name), 0, '... though its schedule has one attempt');
    is_deeply([map { $_->{headers}{'eventsync-attempt'} } $busy->requests],
        [(1) x 4], '... and each request is the first attempt');
    ok(wait_for(sub { attempts($t, $name) == 4 }), '... but is recorded');
    my @at = begin($busy);
    cmp_ok($at[1] - $at[0], '>=', 0.95, 'the first pause is a second');
    cmp_ok($at[3] - $at[2], '>=', 1.95,
        'a pause that the receiver leaves to us doubles');
    $t->stop_dispatcher;
    $t->ctl_ok('endpoint', 'remove', $name);
}

for my $none (429, { status => 503, headers => { 'Retry-After' => 1 } }) {
    my $busy = $t->receiver($none);
    my $name = endpoint($busy, '/hook', schedule => '0,10ms',
        disable_after => '1s', ordering => 'none', in_flight => 1);
    $t->run_dispatcher;
    put($t, 'orders', 1);
    ok(wait_for(sub { $busy->requests >= 3 }, 30), 'only busy');
    is(scalar(grep { $_->{line} =~ /stopped|circuit/ }
        status_lines($t, $name)), 0,
        '... for longer than disable_after stops no endpoint');
    my ($retry) = retries($t, $name);
    is($retry->{attempts}, 0, '... and the event waits without a failure');
    put($t, 'orders', 1);
    my $n = $busy->requests;
    ok(wait_for(sub { $busy->requests > $n + 1 }, 30), 'it is asked again');
    is(scalar(keys %{{ map { $_->{headers}{'webhook-id'} => 1 }
        $busy->requests }}), 1, '... for the same event, not for the next');
    $t->stop_dispatcher;

    SKIP: {
        skip 'needs faketime, and no sanitizer', 1 if !$lib || $t->sanitized;
        $t->run_dispatcher({ env => { LD_PRELOAD => $lib, FAKETIME => '+25h',
            FAKETIME_DONT_FAKE_MONOTONIC => 1 } });
        ok(wait_for(sub { ($retry) = retries($t, $name);
            $retry && $retry->{attempts} == 1 }, 30),
            'after a day of nothing else the event takes one step');
        $t->stop_dispatcher;
    }
    $t->ctl_ok('endpoint', 'remove', $name);
}

###############################################################################
# 429, 502 and 504 pause the whole endpoint for a second

for my $status (429, 502, 504) {
    my $one = $t->receiver(sub {
        return $_[0]{n} == 1 ? $status : 200;
    });
    my $name = endpoint($one, '/hook', ordering => 'none', in_flight => 4,
        schedule => '0,10ms');
    $t->run_dispatcher;
    put($t, 'orders', 1);
    ok(wait_for(sub { $one->requests >= 1 }), "$status is answered");
    put($t, 'orders', 3);
    ok(wait_for(sub { $one->requests == 5 }, 20), '... and all goes on');
    my @at = begin($one);
    cmp_ok($at[1] - $at[0], '>=', 0.95,
        '... after a second in which nothing is sent, not even others');
    $t->stop_dispatcher;
    $t->ctl_ok('endpoint', 'remove', $name);
}

###############################################################################
# Retry-After is kept over a restart

{
    my $name = endpoint($later, '/hook', ordering => 'none',
        schedule => '0,10ms,10ms');
    put($t, 'orders', 1);
    $t->run_dispatcher;
    ok(wait_for(sub { retries($t, $name) }), '503 with Retry-After');
    $t->stop_dispatcher;
    $t->run_dispatcher;
    ok(wait_for(sub { $later->requests == 2 }, 20),
        'the event is tried again by another run');
    my @at = begin($later);
    cmp_ok($at[1] - $at[0], '>=', 3.95, 'when the time has passed, not before');
    $t->stop_dispatcher;
    $t->ctl_ok('endpoint', 'remove', $name);
}

###############################################################################
# probes of a circuit

sub circuit {
    my ($name) = @_;
    my ($next) = $t->ctl_ok('endpoint', 'status', $name)
        =~ /^\S+ circuit open: .* next=(\S+)$/m or return;
    return time_ms($next) / 1000;
}

{
    my $name = endpoint($failing, '/hook', ordering => 'none', in_flight => 2,
        schedule => '0,' . join ',', ('900ms') x 31);
    put($t, 'orders', 2);
    $t->run_dispatcher;
    my ($first, $second);
    ok(wait_for(sub { $first = circuit($name) }, 60), 'a circuit opens');
    my $before = $failing->requests;
    ok(wait_for(sub { $second = circuit($name); $second && $second > $first },
        60), 'a probe that fails keeps it open');
    my @at = begin($failing);
    is(scalar @at, $before + 1, 'there was one probe');
    cmp_ok($at[-1], '>=', $first - 0.1, '... when it was said');
    cmp_ok($at[-1] - $at[-2], '>=', 4.9, '... after five seconds');
    cmp_ok($second - $at[-1], '>=', 9.8, 'and the next is after ten');
    $t->ctl_ok('endpoint', 'change', $name, '--timeout=9s');
    ok(wait_for(sub { $failing->requests > $before + 1 }, 20),
        'a change of the record probes');
    cmp_ok((begin($failing))[-1], '<', $second, '... before that time');
    $t->stop_dispatcher('KILL');
    $t->ctl_ok('endpoint', 'remove', $name);
}

done_testing();
