#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# SIGKILL of the dispatcher at each of its steps between send and commit, by a
# preloaded library: before or after the n-th connect, send, recv, write or
# sync.  Whatever the step: nothing is lost, order holds, and nothing that is
# on record is sent again.
#
# Each round begins with the same store, of a dozen events and six endpoints;
# the dispatcher is killed, looked after, and started again without the
# library.  ES_CRASH_ROUNDS (28): as many rounds, spread over all steps.

use warnings;
use strict;

use File::Path qw(remove_tree);
use List::Util qw(max min);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

use constant { EVENTS => 12, SUBJECTS => 3,
    ROUNDS => $ENV{ES_CRASH_ROUNDS} || 28 };

my $preload = Test::Eventsync->new->build . '/kill.so';
plan skip_all => 'needs kill.so' unless -e $preload;

# What becomes of an attempt at a failing endpoint: one event fails once, one
# exhausts its schedule, one is refused for good.
my %fails = (2 => 1, 9 => 2);
my $aborted = 6;

sub outcome {
    my ($path, $n, $attempt) = @_;

    return 'ok' if $path !~ m{^/bad/};
    return 'dead' if $n == $aborted;
    return 'ok' if $attempt > ($fails{$n} // 0);
    return $attempt == 2 ? 'dead' : 'fail';
}

# While this file is there, what comes late is not answered.
my $t = webhook_store();
my $hang = $t->testdir . '/hang';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my $r = seen($request);

    return { hang => 1 } if $r->{path} =~ /hang/ && $r->{n} > 8 && -e $hang;
    return 200 if $r->{outcome} eq 'ok';
    return { status => 500, headers => $r->{n} == $aborted
        ? { 'webhook-delivery' => 'abort' } : {} };
});

$t->feed('ops');
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops');
put($t, 'orders', map { { subject => 's' . $_ % SUBJECTS } } 1 .. EVENTS);

my %paths;          # of endpoints, by name
for my $ordering (qw(fifo key none)) {
    for my $kind (qw(good bad)) {
        my $name = $t->endpoint('acme', url => $recv->url("/$kind/$ordering"),
            feeds => 'orders', start => 'oldest', ordering => $ordering,
            schedule => '0,10ms', $ordering eq 'fifo' ? () : (in_flight => 4));
        $paths{$name} = "/$kind/$ordering";
    }
}
copy_store($t->store, $t->testdir . '/fresh');

###############################################################################
# how many steps there are

my %steps = count_steps();
my @names = qw(connect send recv delivery-write delivery-sync log-write
    log-sync);
cmp_ok($steps{$_} // 0, '>', 0, "a run has $steps{$_} of $_") for @names;

# Of each kind the first and the last, and as many between them as there are
# rounds for.
my @plan;
for my $step (@names) {
    my @all = map { ("before $step $_", "after $step $_") } 1 .. $steps{$step};
    my $n = min(scalar @all, max(2, int(ROUNDS / @names)));
    push @plan, map { $all[int($_ * $#all / ($n - 1) + 0.5)] } 0 .. $n - 1;
}

my $killed = 0;
for my $step (@plan) {
    is_deeply([one_round($step)], [], "killed $step");
}
cmp_ok($killed, '>=', 0.6 * @plan,
    "of " . @plan . " runs $killed came to their end");
is_deeply([one_round('before connect 1000000')], [], 'a run without one');

in_flight();

done_testing();

###############################################################################

sub copy_store {
    my ($from, $to) = @_;
    remove_tree($to);
    system('cp', '-a', '--sparse=always', $from, $to) == 0 or die "cp\n";
}

sub fresh_store {
    copy_store($t->testdir . '/fresh', $t->store);
    truncate $recv->{log}, 0 or die "truncate: $!\n";
}

# Everything is delivered or dead, and what is dead was told.
sub settled {
    my $status = $t->ctl_ok('endpoint', 'status');
    return 0 if $status =~ / (?:retry|held) /;
    my %done = map { $_->{line} =~ /^(\S+)/ ? ($1 => 1) : () } grep {
        ($_->{cursor} // '') =~ /-${\ EVENTS}$/ && $_->{pending} == 0
    } map { Test::Eventsync::Webhooks::fields($_) } split /\n/, $status;
    return keys %done == keys %paths && told() >= 6;
}

# Cursors of dead letters as told on the partner's own feed.
sub told {
    return map {
        my $event = Test::Eventsync::json($_);
        $event->{type} eq 'message.exhausted'
            ? "$event->{data}{endpoint} " . $event->{data}{cursor} : ()
    } stored($t, 'ops');
}

sub start_preloaded {
    my (%env) = @_;
    return $t->run_dispatcher({ env => { LD_PRELOAD => $preload, %env } },
        '--commit-interval=1ms');
}

sub count_steps {
    my $file = $t->testdir . '/steps';
    fresh_store();
    start_preloaded(ES_KILL_COUNT => $file);
    ok(wait_for(\&settled, 30), 'a run');
    is($t->stop_dispatcher, 0, 'stops cleanly');
    return $t->read_file('steps') =~ /^(\S+) (\d+)$/mg;
}

# Kills, starts again, and returns what is wrong then.
sub one_round {
    my ($step) = @_;
    my @faults;

    fresh_store();
    my $proc = start_preloaded(ES_KILL => $step);
    wait_for(sub {
        return 1 if !$proc->running;
        sleep 0.02;
        return !$proc->running || settled();
    }, 30) or push @faults, 'neither killed nor done';
    my $rc = $t->stop_dispatcher;
    push @faults, "exit $rc" if $rc != 128 + 9 && $rc != 0;
    $killed++ if $rc == 128 + 9;

    my %recorded = map { $_ => 1 } recorded();
    my $before = $recv->count;

    # All may be done already, and a signal ends what has no handler yet.
    $proc = $t->run_dispatcher;
    wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on "/ }, 30);
    wait_for(\&settled, 30) or push @faults, 'not done after a restart';
    $rc = $t->stop_dispatcher;
    push @faults, "exit $rc after a restart" if $rc;
    push @faults, 'the store is not sound' if !$t->verify;

    my @came = map { seen($_) } $recv->requests;
    my @again = grep { $recorded{ key($_) } } @came[$before .. $#came];
    push @faults, map { 'sent again though on record: ' . key($_) } @again;
    push @faults, unfinished(@came), disorder(@came), records(@came);
    return @faults;
}

sub seen {
    my ($request) = @_;
    my ($n) = $request->{body} =~ /"sequence":"0*(\d+)"/;
    my $attempt = $request->{headers}{'eventsync-attempt'};
    return { path => $request->{path}, n => $n, attempt => $attempt,
        outcome => outcome($request->{path}, $n, $attempt) };
}

sub key { "$_[0]{path} $_[0]{n} $_[0]{attempt}" }

# The attempts on record, as key() has them.
sub recorded {
    return map {
        /^\S+ (\S+) .*\bsequence=(\d+) attempt=(\d+)/
            ? "$paths{$1} $2 $3" : die "not an attempt: $_\n"
    } split /\n/, $t->ctl_ok('endpoint', 'attempts');
}

# Each event of each endpoint was taken or is a dead letter, as it should be.
sub unfinished {
    my (@came) = @_;
    my (%taken, @faults);

    $taken{"$_->{path} $_->{n}"} = 1 for grep { $_->{outcome} eq 'ok' } @came;
    my %dead = map { $_ => 1 } map {
        /^\S+ (\S+) .*\bsequence=(\d+)/ ? "$paths{$1} $2" : ()
    } split /\n/, $t->ctl_ok('endpoint', 'dead');

    for my $path (values %paths) {
        for my $n (1 .. EVENTS) {
            my $should = outcome($path, $n, 2) eq 'dead' ? 'dead' : 'taken';
            my $is = join ' ', ($taken{"$path $n"} ? 'taken' : ()),
                ($dead{"$path $n"} ? 'dead' : ());
            push @faults, "$path $n: \"$is\", not $should" if $is ne $should;
        }
    }
    my %told;
    $told{$_}++ for told();
    push @faults, "told more than once: $_" for grep { $told{$_} > 1 }
        keys %told;
    push @faults, keys(%told) . ' dead letters told of ' . keys %dead
        if keys %told != keys %dead;
    return @faults;
}

# An event comes when all before it, of its lane or its subject, are done.
sub disorder {
    my (@came) = @_;
    my (%done, @faults);

    for my $r (@came) {
        my $step = $r->{path} =~ /fifo/ ? 1
            : $r->{path} =~ /key/ ? SUBJECTS : EVENTS;
        my @open = grep { !$done{$r->{path}}{$_} }
            grep { ($r->{n} - $_) % $step == 0 } 1 .. $r->{n} - 1;
        push @faults, key($r) . " before @open" if @open;
        $done{$r->{path}}{$r->{n}} = 1 if $r->{outcome} ne 'fail';
    }
    return @faults;
}

# Each attempt that came is on record once; none came more than twice.
sub records {
    my (@came) = @_;
    my (%came, %records, @faults);

    $came{ key($_) }++ for @came;
    $records{$_}++ for recorded();
    push @faults, "$_ came $came{$_} times" for grep { $came{$_} > 2 }
        keys %came;
    for (sort keys %{ { %came, %records } }) {
        my $is = $records{$_} // 0;
        push @faults, "$_: $is records" if $is != ($came{$_} ? 1 : 0);
    }
    return @faults;
}

# What a kill repeats is what was in flight, when all else is on record.
sub in_flight {
    fresh_store();
    $t->ctl_ok('endpoint', 'remove', $_) for keys %paths;
    %paths = map {
        scalar($t->endpoint('acme', url => $recv->url("/hang/$_"),
            feeds => 'orders', start => 'oldest', ordering => $_,
            in_flight => 4)) => "/hang/$_"
    } qw(fifo key none);

    my %most = (fifo => [9], key => [9 .. 11], none => [9 .. 12]);
    my $came = 3 * 8 + map { @$_ } values %most;
    $t->write_file('hang', '');
    $t->run_dispatcher;
    ok(wait_for(sub { $recv->count == $came && recorded() == 3 * 8 }, 30),
        'some are in flight, the others on record');
    $t->stop_dispatcher('KILL');
    unlink $hang;

    $t->run_dispatcher;
    ok(wait_for(sub { recorded() == 3 * EVENTS }, 30), 'after kill -9');
    my @came = map { seen($_) } $recv->requests;
    for my $ordering (sort keys %most) {
        my %times;
        $times{ $_->{n} }++ for grep { $_->{path} =~ /$ordering/ } @came;
        is_deeply([grep { $times{$_} == 2 } sort { $a <=> $b } keys %times],
            $most{$ordering}, "$ordering: what was in flight is sent again");
        is(scalar(grep { $times{$_} == 1 } 1 .. EVENTS),
            EVENTS - @{ $most{$ordering} }, 'and nothing else');
    }
    is($t->stop_dispatcher, 0, 'it stops cleanly');
    ok($t->verify, 'the store is sound');
}
