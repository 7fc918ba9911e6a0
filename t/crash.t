#!/usr/bin/perl

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

$t->default_conf;
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

    my $before = acked();
    ok(wait_for(sub { acked() > $before + 10 }, 30),
        "round $round: publishing goes on after kill -9 of a $victim");
    ok($t->verify, "round $round: the store is sound");
}

$t->tell_to_end;
is($_->wait(40), 0, "$_->{name} ends") for @producers, $poller;
$producer->stop('KILL');

my $kept = $t->poll_all('orders');
is_deeply([map { $_->{sequence} + 0 } @$kept], [1 .. @$kept],
    'sequences are dense');

my %cursor;
$cursor{"$_->{source} $_->{id}"} .= $_->{cursor} for @$kept;
my @acked = map { $_->stdout =~ /^(\S+ \S+ \S+)\n/mg } @producers, @library;
my @lost = grep {
    my ($source, $id, $where) = split / /;
    ($cursor{"$source $id"} // '') ne $where;
} @acked;
is_deeply(\@lost, [], scalar @acked . ' acknowledged events are there, once, '
    . 'where it was said');

my $expected = join '', map { "$_->{sequence}\n" } @$kept;
ok($poller->stdout eq $expected, 'a poller saw every sequence once');

ok(wait_for(sub { delivered() == @$kept }, 60), 'every event came by webhook');
my (@first, %seen);
for my $request ($recv->requests) {
    my $body = Test::Eventsync::json($request->{body});
    push @first, $body->{sequence} + 0 unless $seen{ $body->{sequence} }++;
}
is_deeply(\@first, [1 .. @$kept], 'in order, repeats aside');

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
        my $page = eval { $t->poll('orders', key => $key, %place, wait => 1,
            limit => 100) };
        if (!$page) {
            sleep 0.02;
            next;
        }
        print $_->{sequence}, "\n" for @{ $page->{events} };
        %place = (after => $page->{next});
        return if $t->told_to_end && !@{ $page->{events} };
    }
}

sub start_library_producer {
    my ($round) = @_;
    my $text = join '', map { $t->event(id => "lib$round-$_",
        source => '/library', data => { n => $_ }) . "\n" } 1 .. 20000;
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

sub delivered {
    my %bodies;
    $bodies{ $_->{body} } = 1 for $recv->requests;
    return scalar keys %bodies;
}
