#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Where a stream's reader is, it is always told, in an event that every reader
# remembers: at the beginning, by the clock while a filter passes events by or
# searches, and at the end.  Who comes back with it misses nothing.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');
$t->feed($_) for qw(quiet busy long gone);
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_sse on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 64m;
        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_sse_heartbeat 300ms;

            location /short/ { eventsync_sse_max_time 1s; }
            location /plain/ { eventsync_sse off; }
            location /brief/ {
                eventsync_sse_heartbeat 2ms;
            }
        }
    }
}
CONF
$t->run_nginx;

sub reader {
    my ($path, %headers) = @_;
    return Test::Eventsync::Reader->new($t, $path, $key, %headers);
}

# The first event that it is sent.
sub first_of {
    my ($reader) = @_;
    return join ' ', $reader->{status}, map { $_->{id} }
        ($reader->events(1))[0] // ();
}

sub names { my ($reader) = @_;
    return join ' ', map { $_->{name} // 'message' } @{ $reader->{all} } }

my $orders = '/v1/feeds/orders/events';
my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-0$/;

###############################################################################
# at the beginning

my $reader = reader('/v1/feeds/quiet/events?from=latest');
$reader->await(sub { @{ $_[0]{named} } });
my $quiet = $t->poll('quiet')->{latest};
is_deeply($reader->{all}, [ { name => 'position', id => $quiet,
    data => qq({"cursor":"$quiet"}) } ],
    'a stream of a quiet feed begins with its position');
ok($reader->{retry}, 'after when to come back');

$t->publish('orders', map { { id => "o$_", type => $_ % 2 ? 'odd' : 'even' } }
    1 .. 5);

for my $case ([ '', 0 ], [ '?from=oldest', 0 ], [ '?from=latest', 5 ],
    [ "?after=$epoch-3", 3 ], [ '?from=2000-01-01T00:00:00Z', 0 ],
    [ '?types=even', 0 ], [ "?subject=none&after=$epoch-4", 4 ])
{
    my ($query, $at) = @$case;
    my $reader = reader("$orders$query");
    $reader->await(sub { @{ $_[0]{all} } });
    is($reader->{all}[0]{name} . ' ' . $reader->{all}[0]{id},
        "position $epoch-$at", "the position comes first: '$query'");
}

$reader = reader($orders, 'last-event-id' => "$epoch-4");
is($reader->ids(1), 'o5', 'of who comes back');
is_deeply([ $reader->positions ], ["$epoch-4"], 'it is the one it came with');
is(names($reader), 'position message', 'and then the events, without a name');

###############################################################################
# nothing published between two streams is lost

my @ids;
my $id = '';
for my $round (1 .. 4) {
    my $reader = reader('/short/feeds/quiet/events?from=latest',
        $id ne '' ? ('last-event-id' => $id) : ());
    $reader->to_end;
    $id = $reader->{id};
    push @ids, map { Test::Eventsync::json($_->{data})->{id} }
        @{ $reader->{got} };
    $t->publish('quiet', { id => "gap$round" });
}
is("@ids", 'gap1 gap2 gap3', 'each event of a gap comes with the next stream');

###############################################################################
# while a filter passes events by

$reader = reader("$orders?types=even&from=latest");
$t->publish('orders', map { { id => "p$_", type => 'odd' } } 1 .. 3);
ok($reader->await(sub { $_[0]{id} eq "$epoch-8" }),
    'the position moves on over what is not sent');
is_deeply([ $reader->positions ], [ "$epoch-5", "$epoch-8" ],
    'in an event of its name');
is(scalar @{ $reader->{got} }, 0, 'that is no message');
$t->publish('orders', { id => 'hit', type => 'even' });
my ($event) = $reader->events(1);
is("$event->{id} $event->{prevcursor}", "hit $epoch-8",
    'and is the prevcursor of what comes next');

# Commits in vain at a rate above the heartbeat's were a silence without end.
$reader = reader('/v1/feeds/busy/events?types=never&from=latest');
my $publisher = $t->background('publisher', sub {
    for my $n (1 .. 200) {
        last if $t->told_to_end;
        $t->publish('busy', { id => "b$n" });
        sleep 0.05;
    }
});
ok($reader->await(sub { $_[0]->positions >= 4 }, 15),
    'it does so by the clock, whoever commits how often');
$t->tell_to_end;
$publisher->wait(20);

###############################################################################
# while a filter searches

# Half of them are of one subject and the others of one type, and none of both.
$t->ctl_ok({ stdin => join '', map { $t->event(id => "l$_", $_ % 2
    ? (type => 'a', subject => 's') : (type => 'b')) . "\n" }
    $_ * 10000 + 1 .. $_ * 10000 + 10000 }, 'publish', 'long') for 0 .. 19;
my $end = $t->poll('long', from => 'latest')->{latest};

$reader = reader('/brief/feeds/long/events?subject=s&types=b');
ok($reader->await(sub { $_[0]{id} eq $end }), 'a search comes to its end');
my ($first, @between) = $reader->positions;
is($first =~ s/.*-//r, 0, 'from the beginning');
cmp_ok(scalar @between, '>', 1, 'and tells by the clock how far it is');
is(scalar(grep { $between[$_ - 1] =~ s/.*-//r >= $between[$_] =~ s/.*-//r }
    1 .. $#between), 0, 'which is further each time');

###############################################################################
# at the end

$reader = reader('/short/feeds/orders/events?types=even&from=latest');
$reader->await(sub { @{ $_[0]{named} } });
$t->publish('orders', { id => 'late', type => 'odd' });
my $last = $t->poll('orders')->{latest};
is($reader->to_end, 'well', 'the end of its life');
is("$reader->{all}[-1]{name} $reader->{all}[-1]{id}", "position $last",
    'is told with the position');

$reader = reader("$orders?from=latest");
$reader->await(sub { @{ $_[0]{named} } });
ok($t->reload, 'a reload');
is($reader->to_end, 'well', 'ends a stream');
is("$reader->{all}[-1]{name} $reader->{all}[-1]{id}", "position $last",
    'and tells the position');
is($reader->problem, undef, 'which is no end for good');

###############################################################################
# the id in the query

for my $name ('lastEventId', 'Last-Event-ID') {
    for my $query ("?$name=$epoch-4", "?after=$epoch-1&$name=$epoch-4",
        "?from=latest&$name=$epoch-4", "?$name=$epoch%2D4&types=odd,even")
    {
        is(first_of(reader("$orders$query")), '200 o5', "as the header: $query");
    }
    is(first_of(reader("$orders?$name=$epoch-2", 'last-event-id' =>
        "$epoch-4")), '200 o5', "$name: the header is of a later moment");
    is(first_of(reader("$orders?after=$epoch-4&$name=")), '200 o5',
        "$name: an empty one is none");
    is(reader("$orders?$name=x")->{status}, 400, "$name: no cursor");
    is(reader("$orders?$name=%zz")->{status}, 400, "$name: malformed");
    is(reader("$orders?$name=$epoch-1&$name=$epoch-1")->{status}, 400,
        "$name: twice");

    for my $case ([ $orders => 'application/json' ], [ $orders => '*/*' ],
        [ $orders => 'application/x-ndjson' ],
        [ '/plain/feeds/orders/events' => 'application/json' ])
    {
        my ($path, $accept) = @$case;
        my $answer = $t->http(GET => "$path?$name=$epoch-4", { accept => $accept,
            authorization => "Bearer $key" });
        my $doc = Test::Eventsync::json($answer->{body});
        is("$answer->{status} $doc->{parameter} $doc->{detail}",
            "400 $name Parameter \"$name\" is unknown.",
            "$name: of a stream only: $path $accept");
    }
}
is(reader("$orders?lastEventId=$epoch-1&Last-Event-ID=$epoch-1")->{status}, 400,
    'both of them');

done_testing();
