#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher stops, dies and starts again; the log changes under it.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();

my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($n) = $request->{body} =~ /"sequence":"0*(\d+)"/;

    return { delay => 0.5 } if $request->{path} eq '/slow';
    return { hang => 1 } if $request->{path} eq '/hang';
    return { status => 500 } if $request->{path} eq '/never';
    return { status => $n % 11 == 0
        && $request->{headers}{'eventsync-attempt'} <= 2 ? 500 : 200,
        delay => 0.001 };
});
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', %opts);
}
sub first_come {
    my %seen;
    return grep { !$seen{$_}++ } sequences(@_);
}

###############################################################################
# one dispatcher a store; a graceful stop

my $slow = endpoint('/slow', ordering => 'none', in_flight => 8);
put($t, 'orders', 8);
my $running = $t->run_dispatcher;
ok(wait_for(sub { $running->stderr =~ /info: eventsync-dispatcher/ }),
    'the dispatcher says that it runs');

my $second = $t->start('second', {}, $t->build . '/eventsync-dispatcher',
    '--store', $t->store);
is($second->wait(10), 1, 'a second dispatcher is refused');
like($second->stderr, qr/error: another dispatcher runs/, 'and says why');

ok($recv->wait_for(8), 'while eight are in flight');
is($t->stop_dispatcher, 0, 'a stop waits for them');
is(scalar(grep { $_->{class} eq 'ok' } attempts($t, $slow)), 8,
    'and has them on record');
put($t, 'orders', 2);
$t->run_dispatcher;
ok($recv->wait_for(10), 'the next start goes on');
sleep 0.3;
is_deeply([sort { $a <=> $b } sequences(came('/slow'))], [1 .. 10],
    'with nothing sent twice');

my $hang = endpoint('/hang');
ok(wait_for(sub { came('/hang') }), 'one that does not answer');
my $proc = $t->{dispatcher};
$proc->kill('TERM');
ok(wait_for(sub { $proc->stderr =~ /: stopping with \d+ deliveries/ }),
    'is waited for');
$proc->kill('TERM');
is($proc->wait(5), 1, 'but not after a second signal');
delete $t->{dispatcher};

$t->run_dispatcher;
ok(wait_for(sub { came('/hang') == 2 }), 'what was in flight is sent again');
$t->ctl_ok('endpoint', 'remove', $_) for $hang, $slow;

###############################################################################
# retries outlive the process

my $never = endpoint('/never', ordering => 'none', schedule => '0,2h',
    in_flight => 4);
ok(wait_for(sub { retries($t, $never) == 10 }, 20), 'retries wait');
my @before = map { $_->{line} } retries($t, $never);
$t->stop_dispatcher('KILL');
$t->run_dispatcher;
put($t, 'orders', 1);
ok(wait_for(sub { grep { ($_->{retries} // 0) == 11 }
    status_lines($t, $never) }), 'after kill -9, too');
is_deeply([(map { $_->{line} } retries($t, $never))[0 .. 9]], \@before,
    'with their times');
is(scalar came('/never'), 11, 'they were not sent again');
$t->ctl_ok('endpoint', 'remove', $never);

###############################################################################
# kill -9 in mid-traffic

my $fifo = endpoint('/fifo', schedule => '0,10ms,10ms,10ms');
my $none = endpoint('/none', schedule => '0,10ms,10ms,10ms',
    ordering => 'none', in_flight => 16);

my $publisher = $t->background('publisher', sub {
    until ($t->told_to_end) {
        put($t, 'orders', 5);
        sleep 0.02;
    }
});
my $died = 0;
for my $round (1 .. $ENV{ES_CRASH_ROUNDS} || 6) {
    my $n = $recv->count;
    $recv->wait_for($n + 20, 20) or diag("round $round: no traffic");
    sleep rand 0.05;
    $t->stop_dispatcher('KILL');
    $t->run_dispatcher;
    $died++;
}
$t->tell_to_end;
$publisher->wait(20);
my $last = () = stored($t, 'orders');

for my $path ('/fifo', '/none') {
    ok(wait_for(sub { first_come(came($path)) == $last }, 30),
        "$path: all $last are sent, over $died deaths");
}
is_deeply([first_come(came('/fifo'))], [1 .. $last], 'in order');

# Whatever is sent again after a death was in flight or not yet committed; in
# order it begins no later than where the one before had come.
my $high = 0;
my @gaps;
for my $n (sequences(came('/fifo'))) {
    push @gaps, $n if $n > $high + 1;
    $high = $n if $n > $high;
}
is_deeply(\@gaps, [], 'none is left out on the way');
ok(wait_for(sub { !retries($t, $none) && !retries($t, $fifo) }),
    'nothing is left to be tried');
is(scalar dead($t, $_), 0, 'nothing is dead') for $fifo, $none;

# Some events are answered with 500 at first, so they may come again.
sub all_done {
    my ($sequence) = @_;
    my ($progress) = grep { $_->{cursor} } status_lines($t, $fifo);
    return $progress->{cursor} =~ /-$sequence$/ && $progress->{pending} == 0
        && !retries($t, $fifo);
}
ok(wait_for(sub { all_done($last) }), 'the cursor is at the end');

###############################################################################
# the log changes: retention, a new epoch, a feed removed

$t->ctl_ok('endpoint', 'pause', $fifo);
$t->ctl_ok('endpoint', 'remove', $none);
put($t, 'orders', 30);
my @stored = stored($t, 'orders');
my $cursor = Test::Eventsync::json($stored[-6])->{cursor};
$t->ctl_ok('feed', 'trim', 'orders', "--before=$cursor");
my $had = came('/fifo');
$t->ctl_ok('endpoint', 'resume', $fifo);
ok(wait_for(sub { first_come(came('/fifo')) == $last + 6
    && all_done($last + 30) }), 'retention that has overtaken an endpoint');
is_deeply([(first_come(came('/fifo')))[-6 .. -1]],
    [$last + 25 .. $last + 30], 'leaves what is kept');
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /overtaken endpoint $fifo: 24 / }),
    'and is in the log, with how many');

$had = came('/fifo');
$t->ctl_ok('feed', 'reset', 'orders');
put($t, 'orders', 3);
ok(wait_for(sub { came('/fifo') == $had + 3 }), 'a feed that is reset');
is_deeply([(sequences(came('/fifo')))[-3 .. -1]], [1, 2, 3],
    'is sent from its new beginning');
like($t->{dispatcher}->stderr, qr/feed "orders" was reset/,
    'and is in the log');

$t->ctl_ok('feed', 'remove', 'orders');
$t->feed('orders');
put($t, 'orders', 2);
ok(wait_for(sub { came('/fifo') == $had + 5 }),
    'so is one that is made again');
ok(wait_for(sub { 1 == grep { $_->{cursor} } status_lines($t, $fifo) }),
    'and nothing is kept of the one before');

$t->feed('short', retain_count => 10);
put($t, 'short', 500);
ok(wait_for(sub { my @kept = stored($t, 'short'); @kept == 10 }, 20),
    'the dispatcher applies retention');

is($t->stop_dispatcher('INT'), 0, 'SIGINT is a graceful stop');

# Feeds are read in the order of their names: "orders" comes after this one.
@before = grep { $_->{cursor} } status_lines($t, $fifo);
ok(@before, 'there is a place to lose');
$t->feed('damaged');
is(system($t->build . '/helper/damage', $t->store . '/log', 'feeds',
    'damaged'), 0, 'a feed that cannot be read');
my $refuses = $t->run_dispatcher;
is($refuses->wait(20), 1, 'keeps the dispatcher from starting');
like($refuses->stderr, qr/cannot start: /, 'and it says so');
$t->stop_dispatcher;
$t->allow_errors(qr/cannot read the feeds|cannot start/);
is(scalar(lanes_kept($t)), scalar(@before),
    'rather than to take those behind it for gone');

done_testing();

# Places that are kept, read as bytes: no command reads them from such a store.
sub lanes_kept {
    my ($t) = @_;
    my $out = `\Q${\$t->build}\E/helper/records \Q${\$t->store}\E/delivery progress`;
    return split /\n/, $out;
}
