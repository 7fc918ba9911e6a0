#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Commands that open and close a store just when others do.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $ROUNDS = 100;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');

# Each runs a command over and over, and says what went wrong.
my %loops = (
    'one that writes' => sub { ('partner', 'create', "a$_[0]") },
    'another one'     => sub { ('partner', 'create', "b$_[0]") },
    'one that reads'  => sub { ('feed', 'list') },
);
my $n = 0;
my %procs = map {
    my $command = $loops{$_};
    my $dir = $t->testdir . '/loop-' . ++$n;

    mkdir $dir;
    ($_ => $t->background('loop', sub {
        @$t{qw(store testdir)} = ($t->store, $dir);
        for my $round (1 .. $ROUNDS) {
            my ($rc, undef, $err) = $t->ctl($command->($round));
            print "round $round: exit $rc: $err" if $rc;
        }
    }));
} sort keys %loops;

for (sort keys %procs) {
    is($procs{$_}->wait(120), 0, "$_ ends");
    is($procs{$_}->stdout, '', '... and no round of it failed');
}

my $partners = () = $t->ctl_ok('partner', 'list') =~ /^\s*(?:[ab]\d+)\b/mg;
is($partners, 2 * $ROUNDS, 'all that was written is there');
ok($t->verify, 'and the store verifies');

done_testing();
