#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Events that were erased before they were sent: webhooks, batches, replays and
# "tail" have their tombstones, and no gap.  Partners are told of the erasure by
# an operational event, once, also if the dispatcher is killed.

use warnings;
use strict;

use JSON::PP qw(encode_json);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(acme-ops other bolt-ops);
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders,acme-ops',
    '--operations=acme-ops');
$t->partner('bolt', feeds => 'other', operations => 'bolt-ops');
my $recv = $t->receiver(200);

my @erase = ('erase', '--forget-ids');
my @forbidden = qw(SUBJECT-S SOURCE-S IDENT DATA-S);

sub event {
    my ($n) = @_;
    return { id => "IDENT-$n", source => '/SOURCE-S', type => 'order.x',
        subject => 'SUBJECT-S', data => { secret => 'DATA-S' } };
}

sub came {
    my ($path) = @_;
    return map { ref $_ eq 'ARRAY' ? @$_ : $_ }
        map { Test::Eventsync::json($_->{body}) }
        grep { $_->{path} eq $path } $recv->requests;
}

sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', %opts);
}

# The tombstones of these sequences are among the events, which have no gap.
sub sound {
    my ($name, $erased, @events) = @_;
    @events = sort { $a->{sequence} <=> $b->{sequence} } @events;
    is_deeply([map { $_->{sequence} + 0 } grep { $_->{erased} } @events],
        $erased, "$name: the tombstones");
    is((grep { $events[$_]{prevcursor} ne $events[$_ - 1]{cursor} }
        1 .. $#events), 0, "$name: there is no gap");
    my $text = encode_json(\@events);
    is((grep { index($text, $_) >= 0 } @forbidden), 0,
        "$name: and nothing of an erased event");
}

###############################################################################
# before they are sent

put($t, 'orders', {}, event(1), {}, {}, event(2), {});
$t->ctl_ok(@erase, '--subject=SUBJECT-S', '--expect=2');

my $each = endpoint('/each');
endpoint('/batch', batch => 4);
endpoint('/key', ordering => 'key');
$t->run_dispatcher;

for my $path (qw(/each /batch /key)) {
    ok(wait_for(sub { came($path) == 6 }, 20), "$path: all come");
    sound($path, [2, 5], came($path));
}

sound('tail', [2, 5], map { Test::Eventsync::json($_) } stored($t, 'orders'));

$t->ctl_ok('endpoint', 'replay', $each, 'orders', '--from=oldest');
ok(wait_for(sub { came('/each') == 12 }, 20), 'replay: all come again');
sound('replay', [2, 5], (came('/each'))[6 .. 11]);

###############################################################################
# partners are told

sub told {
    my ($feed) = @_;
    return grep { $_->{type} eq 'events.erased' }
        map { Test::Eventsync::json($_) } stored($t, $feed);
}

my ($epoch) = (came('/each'))[0]{cursor} =~ /^(\w+)-/;
ok(wait_for(sub { told('acme-ops') }, 20), 'an operational event comes');
my ($notice) = told('acme-ops');
is_deeply([@$notice{qw(source subject)}, $notice->{data}],
    ['/eventsync', 'orders', { feed => 'orders', count => 2,
        cursors => ["$epoch-2", "$epoch-5"] }],
    'which names the feed and the cursors');
is(scalar told('bolt-ops'), 0, 'who may not read the feed is not told');

my $hook = $t->endpoint('acme', url => $recv->url('/ops'), feeds => 'acme-ops',
    start => 'oldest', types => 'events.erased');
ok(wait_for(sub { came('/ops') == 1 }, 20), 'a webhook carries it');

# killed at any moment, and with more than one event has room for
is($t->stop_dispatcher, 0, 'the dispatcher ends');
put($t, 'orders', map { event($_) } 3 .. 252);
$t->ctl_ok(@erase, '--subject=SUBJECT-S', '--expect=250');
for my $round (1 .. 4) {
    $t->run_dispatcher;
    sleep 0.1 * $round;
    $t->stop_dispatcher('KILL');
}
$t->run_dispatcher;
ok(wait_for(sub { told('acme-ops') == 4 }, 20), 'the others follow');
my @cursors = map { @{ $_->{data}{cursors} } } (told('acme-ops'))[1 .. 3];
is_deeply([sort { $a <=> $b } map { s/.*-//r } @cursors], [7 .. 256],
    'each erased event is named once');
ok(wait_for(sub { my %ids = map { $_->{id} => 1 } came('/ops'); keys %ids == 4 },
    20), 'also to the receiver');
is((grep { my $notice = $_; grep { index($notice, $_) >= 0 } @forbidden }
    stored($t, 'acme-ops')), 0, 'none names a subject or an id');

ok($t->verify, 'the store is sound');

done_testing();
