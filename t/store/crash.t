#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# kill -9 of every kind of process at random moments under traffic: no
# acknowledged event is lost, no gap is left, nothing needs repair.
#
# ES_CRASH_ROUNDS (8), ES_CRASH_SEED to repeat a run.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant ROUNDS => $ENV{ES_CRASH_ROUNDS} || 8;

my $seed = $ENV{ES_CRASH_SEED} || time() ^ $$;
srand $seed;
diag("ES_CRASH_SEED=$seed") if $ENV{ES_CRASH_ROUNDS};

my $t = Test::Eventsync->new(workers => 2);
$t->allow_errors(qr/worker process \d+ exited on signal 9/);
$t->store_init->feed('orders');
my $key = $t->master_key;

my $recv = $t->receiver(200);
$t->endpoint('tester', url => $recv->url, feeds => 'orders',
    ordering => 'fifo', start => 'oldest');

$t->default_conf(location => 'eventsync_checkpoints on;');
$t->run_nginx;
$t->run_dispatcher;

# Producers over HTTP try again, with the same ids, until they have their
# answer, and print id and cursor as acknowledged.
my @producers = map {
    my $name = "http$_";
    $t->background($name, sub { produce_http($name) });
} 1 .. 3;
my $producer = start_library_producer(0);
my @library = ($producer);

my $poller = $t->background('poller', sub { follow() });
my $consumer = $t->background('consumer', sub { acknowledge() });

ok($recv->wait_for(20, 20), 'traffic flows');

my %kill = (
    worker     => \&kill_worker,
    master     => \&kill_master,
    dispatcher => \&kill_dispatcher,
    producer   => \&kill_producer,
);
my @order = map { (sort keys %kill)[$_ % 4] } 0 .. ROUNDS - 1;

for my $round (1 .. ROUNDS) {
    my $victim = $order[$round - 1];
    sleep 0.05 + rand 0.3;
    $kill{$victim}->($round);

    # A minute: all that can be said of a machine that does much else too.
    my $before = acked();
    ok(wait_for(sub { acked() > $before + 10 }, 60),
        "round $round: publishing goes on after kill -9 of a $victim");
    ok($t->verify, "round $round: the store is sound");
}

$t->tell_to_end;
is($_->wait(120), 0, "$_->{name} ends") for @producers, $poller, $consumer;
$producer->stop('KILL');

my @kept = grep { length } split /\n/, $t->ctl_ok('tail', 'orders');
is_deeply([map { sequence($_) } @kept], [1 .. @kept], 'sequences are dense');

my %cursor;
for my $event (@kept) {
    $event =~ /"id":"([^"]+)","source":"([^"]+)".*?"cursor":"([^"]+)"/
        or die "not an event: $event\n";
    $cursor{"$2 $1"} .= $3;
}
my @acked = map { $_->stdout =~ /^(\S+ \S+ \S+)\n/mg } @producers, @library;
my @lost = grep {
    my ($source, $id, $where) = split / /;
    ($cursor{"$source $id"} // '') ne $where;
} @acked;
is_deeply(\@lost, [], scalar @acked . ' acknowledged events are there, once, '
    . 'where it was said');

my $expected = join '', map { "$_\n" } 1 .. @kept;
ok($poller->stdout eq $expected, 'a poller saw every sequence once');

my @said = $consumer->stdout =~ /-(\d+)$/mg;
cmp_ok(@said, '>', 10, 'a consumer acknowledged');
my ($there) = $t->ctl_ok(qw(checkpoint show tester orders consumer))
    =~ /"cursor":\s*"[^"]*-(\d+)"/;
cmp_ok($there, '>=', $said[-1], 'its checkpoint is where it was said at least');
cmp_ok($there, '<=', scalar @kept, 'and not beyond the feed');

# Each look goes through all that came: seldom, while many are to come.
my @delivered;
ok(wait_for(sub {
    sleep 0.2;
    @delivered = $recv->count < @kept ? () : delivered();
    return @delivered == @kept;
}, 180), 'every event came by webhook');
is_deeply(\@delivered, [1 .. @kept], 'in order, repeats aside');

ok($t->verify, 'the store is sound at the end');

done_testing();

###############################################################################

sub produce_http {
    my ($name) = @_;
    my $n = 0;

    until ($t->told_to_end) {
        my @events = map { $t->event(id => "$name-" . ++$n,
            source => "/$name", data => { n => $n }) } 1 .. 1 + int rand 4;
        my $answer;
        while (1) {
            $answer = eval { $t->publish('orders', { key => $key }, @events) };
            last if $answer && $answer->{status};
            sleep 0.02;
        }
        die "status $answer->{status}: $answer->{body}\n"
            if $answer->{status} != 201;
        print "/$name $_->{id} $_->{cursor}\n"
            for @{ $answer->{json}{results} };
    }
}

sub follow {
    my %place = (from => 'oldest');

    while (1) {
        my $query = join '&', 'wait=1&limit=1000',
            map { "$_=$place{$_}" } keys %place;
        my $answer = eval { $t->http(GET => "/v1/feeds/orders/events?$query",
            { authorization => "Bearer $key" }) };
        if (!$answer || $answer->{status} != 200) {
            sleep 0.02;
            next;
        }
        my @sequences = sequence($answer->{body});
        print "$_\n" for @sequences;
        $answer->{body} =~ /"next":"([^"]+)"/ or die "no next\n";
        %place = (after => $1);
        return if $t->told_to_end && !@sequences;
    }
}

# Moves a checkpoint on, event by event, and prints what was answered.
sub acknowledge {
    my %place = (from => 'oldest');

    until ($t->told_to_end) {
        my $query = join '&', 'wait=1&limit=1', map { "$_=$place{$_}" }
            keys %place;
        my $answer = eval { $t->http(GET => "/v1/feeds/orders/events?$query",
            { authorization => "Bearer $key" }) };
        if (!$answer || $answer->{status} != 200) {
            sleep 0.02;
            next;
        }
        my ($next) = $answer->{body} =~ /"next":"([^"]+)"/ or die "no next\n";
        %place = (after => $next);

        my $put = eval { $t->http(PUT =>
            '/v1/feeds/orders/checkpoints/consumer', {
            authorization => "Bearer $key",
            'content-type' => 'application/json' }, qq({"cursor":"$next"})) };
        print "$next\n" if $put && $put->{status} =~ /^20[01]$/;
        sleep 0.05;
    }
}

# Of all events in a text.  (To decode them takes most of this test's time.)
sub sequence {
    my ($text) = @_;
    return map { $_ + 0 } $text =~ /"sequence":"(\d+)"/g;
}

sub start_library_producer {
    my ($round) = @_;
    my $text = join '', map { qq({"specversion":"1.0","id":"lib$round-$_",)
        . qq("source":"/library","type":"test.event","data":{"n":$_}}\n)
        } 1 .. 20000;
    return $t->ctl_start({ stdin => $text }, 'publish', 'orders',
        '--batch=3', '--results');
}

sub kill_worker {
    my @workers = $t->workers;
    kill KILL => $workers[rand @workers] if @workers;
}

# Its workers would go on serving; here everything of nginx dies at once.
sub kill_master {
    my $master = $t->nginx_pid;
    my @workers = Test::Eventsync::children($master);
    kill KILL => $master;
    kill KILL => @workers;
    $t->stop_nginx('KILL');
    $t->run_nginx;
}

sub kill_dispatcher {
    $t->stop_dispatcher('KILL');
    sleep rand 0.2;
    $t->run_dispatcher;
}

sub kill_producer {
    my ($round) = @_;
    $producer->stop('KILL');
    push @library, $producer = start_library_producer($round);
}

sub acked {
    my $n = 0;
    for my $proc (@producers) {
        $n += () = $proc->stdout =~ /\n/g;
    }
    return $n;
}

# Sequences in the order in which each came first.
sub delivered {
    my %seen;
    return grep { !$seen{$_}++ } map { sequence($_->{body}) } $recv->requests;
}
