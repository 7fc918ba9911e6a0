#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# "feed pack" that ends at any moment: killed before or after each write and
# sync of the log, or cut by a power loss that leaves any of the writes since
# the last sync on disk.  Whatever the moment: the store verifies, readers get
# the same bytes, and packing goes on to the same end.
#
# ES_CRASH_STATES (40): as many states of a power loss, spread over all.

use warnings;
use strict;

use File::Path qw(remove_tree);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

use constant { EVENTS => 750, STATES => $ENV{ES_CRASH_STATES} || 40 };

my $t = Test::Eventsync->new;
my ($kill, $record) = map { $t->build . "/$_.so" } qw(kill writes);
plan skip_all => 'needs kill.so and writes.so' if grep { !-e } $kill, $record;
plan skip_all => 'a sanitizer comes before other libraries' if $t->sanitized;

$t->store_init->feed('orders', pack => 'off');
my @events = map { $t->event(id => "e$_", subject => 's' . $_ % 7,
    type => 't.' . $_ % 3, data => { n => $_ }) . "\n" } 1 .. EVENTS;
$t->ctl_ok({ stdin => join '', splice @events, 0, 250 }, 'publish', 'orders',
    '--batch=1');
$t->ctl_ok({ stdin => join '', @events }, 'publish', 'orders', '--batch=60');

my $fresh = $t->testdir . '/fresh';
copy_store($t->store, $fresh);
my $texts = $t->ctl_ok(qw(tail orders));
my $pages = pages();
is($pages, 6, 'a run packs all full pages but the last ones');

killed();
power_lost();

done_testing();

###############################################################################

sub copy_store {
    my ($from, $to) = @_;
    remove_tree($to);
    system('cp', '-a', '--sparse=always', $from, $to) == 0 or die "cp\n";
}

# Packs and returns the number of pages, or undef if the process was killed.
sub pages {
    my (%env) = @_;
    my ($rc, $out, $err) = $t->ctl({ env => \%env }, qw(feed pack orders --json));
    return if $rc == 128 + 9;
    die "exit $rc: $err\n" if $rc;
    return Test::Eventsync::json($out)->{pages};
}

# What is wrong with the store; `packed` is how many of its pages are packed.
sub faults {
    my ($packed) = @_;
    my @faults;
    push @faults, 'does not verify' if !$t->verify;
    push @faults, 'other bytes' if $t->ctl_ok(qw(tail orders)) ne $texts;
    my $rest = pages();
    push @faults, "$rest pages were left to pack"
        if defined $packed ? $rest != $pages - $packed
            : $rest != 0 && $rest != $pages;
    push @faults, 'does not verify when packed' if !$t->verify;
    push @faults, 'other bytes when packed'
        if $t->ctl_ok(qw(tail orders)) ne $texts;
    return @faults;
}

sub killed {
    my $counts = $t->testdir . '/counts';
    copy_store($fresh, $t->store);
    pages(LD_PRELOAD => $kill, ES_KILL_COUNT => $counts);
    my %steps = $t->read_file('counts') =~ /^(\S+) (\d+)$/mg;
    my $ended = 0;
    for my $step (qw(log-write log-sync)) {
        cmp_ok($steps{$step}, '>', 0, "a run has $steps{$step} of $step");
        for my $n (1 .. $steps{$step}) {
            for my $when (qw(before after)) {
                copy_store($fresh, $t->store);
                $ended++ if !defined pages(LD_PRELOAD => $kill,
                    ES_KILL => "$when $step $n");
                is_deeply([ faults() ], [], "killed $when $step $n");
            }
        }
    }
    cmp_ok($ended, '>=', 4, "$ended runs were killed");
}

# The writes in order: [ kind, offset, bytes ].
sub recorded {
    open my $fh, '<:raw', $t->testdir . '/writes' or die "writes: $!\n";
    my @all;
    while (defined(my $line = <$fh>)) {
        if ($line eq "sync\n") {
            push @all, [ 'sync' ];
            next;
        }
        my ($kind, $at, $size) = $line =~ /^(write|meta) (\d+) (\d+)$/
            or die "not a record\n";
        read($fh, my $bytes, $size) == $size or die "cut\n";
        # a write is of whole pages, of which a disk may keep any
        push @all, map { [ $kind, $at + $_, substr $bytes, $_, 4096 ] }
            map { $_ * 4096 } 0 .. ($size - 1) / 4096;
    }
    return @all;
}

# Every write up to `done` is on disk, and of those after it only `some`.
sub state_of {
    my ($writes, $done, @some) = @_;
    copy_store($fresh, $t->store);
    open my $fh, '+<:raw', $t->store . '/log/data.mdb' or die "data.mdb: $!\n";
    for my $write (@$writes[0 .. $done - 1], @some) {
        next if $write->[0] eq 'sync';
        seek $fh, $write->[1], 0 or die "seek: $!\n";
        print $fh $write->[2] or die "write: $!\n";
    }
    close $fh or die "write: $!\n";
}

# Between two syncs: each prefix, each write alone, and all but one.  The last
# page of a commit says that it is there; it is written after all others are
# synced.
sub power_lost {
    copy_store($fresh, $t->store);
    is(pages(LD_PRELOAD => $record, ES_WRITES => $t->testdir . '/writes'),
        $pages, 'a recorded run');
    my @writes = recorded();
    my (@states, $synced);
    for my $i (0 .. $#writes) {
        next if $writes[$i][0] ne 'sync';
        my $from = $synced // 0;
        my @open = @writes[$from .. $i - 1];
        push @states, map { my $n = $_;
            ([ $from + $n ], [ $from, $open[$n] ],
                [ $from, @open[grep { $_ != $n } 0 .. $#open] ]) } 0 .. $#open;
        push @states, [ $i ];
        $synced = $i;
    }
    push @states, [ scalar @writes ];
    is(scalar(grep { $_->[0] eq 'meta' } @writes), 1, 'a run is one commit');
    my $n = @states < STATES ? @states : STATES;
    for my $k (0 .. $n - 1) {
        my $state = $states[int($k * $#states / ($n - 1) + 0.5)];
        my ($done, @some) = @$state;
        state_of(\@writes, $done, @some);
        is_deeply([ faults($done == @writes ? $pages : 0) ], [],
            "after $done of " . @writes . ' writes, and ' . @some . ' more');
    }
}
