#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# How long attempts and dead letters are kept, and that nothing else goes.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub { return -e $t->testdir . '/works' ? 200 : 500 });

put($t, 'orders', 3);
my ($name) = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    ordering => 'none', start => 'oldest', schedule => '0');

sub lines { return scalar(() = $t->ctl_ok('endpoint', $_[0], $name) =~ /\n/g) }

$t->run_dispatcher;
ok(wait_for(sub { lines('dead') == 3 && lines('attempts') == 3 }), 'three are dead');

# The janitor looks every two seconds: what it was asked of another feed tells
# that it has.
sub janitor_has_looked {
    my ($n) = @_;
    $t->feed("old$n", retain_age => '1s');
    put($t, "old$n", 1);
    return wait_for(sub {
        $t->ctl_ok('feed', 'show', "old$n") =~ /"oldest": *"[^"]*-1"/ });
}
ok(janitor_has_looked(1), 'retention is applied');
is(lines('dead'), 3, 'by default dead letters stay');
is(lines('attempts'), 3, 'and attempts');
is($t->stop_dispatcher, 0, 'stop');

$t->run_dispatcher('--attempt-retention=1s');
ok(wait_for(sub { lines('attempts') == 0 }), '--attempt-retention');
is(lines('dead'), 3, 'is not of dead letters');
is($t->stop_dispatcher, 0, 'stop');

$t->run_dispatcher('--dead-retention=1s');
ok(wait_for(sub { lines('dead') == 0 }), '--dead-retention');
my $dropped = 0;
ok(wait_for(sub {
    $dropped = 0;
    $dropped += $_ for $t->{dispatcher}->stderr
        =~ /warn: (\d+) dead letters were deleted/g;
    $dropped == 3;
}), 'the log says how many are dropped');
$t->write_file('works', '');
put($t, 'orders', 1);
ok(wait_for(sub { lines('attempts') == 1 }), 'and it goes on');
is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'the store is whole');

for my $option (qw(attempt dead)) {
    for my $value ('', '0', '999ms', '31d', 'long') {
        my $out = `\Q${\$t->build}\E/eventsync-dispatcher --store=x --$option-retention='$value' 2>&1`;
        is($? >> 8, 2, "--$option-retention='$value'");
        is($out, "eventsync-dispatcher: --$option-retention must be a time from 1s to 30d,"
            . ' like "' . ($option eq 'dead' ? '30d' : '7d') . "\", not \"$value\"\n",
            '... says why');
    }
}

done_testing();
