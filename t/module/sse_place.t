#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A reader that comes back is not refused because of its own stream, whose end
# nobody has noticed yet.  It is counted once, takes nobody else's place, and
# two readers with one place do not drive each other out.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 3);
$t->store_init->feed('orders')->feed('other');
my $master = $t->master_key;
my $partners = 0;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_sse on;
    log_format limit '$uri $status $eventsync_limit_status';
    access_log %%TESTDIR%%/limit.log limit;
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;

            location /one/ { eventsync_limit waits max=1; }
            location /two/ { eventsync_limit waits max=2; }
            location /open/ {
                eventsync_auth off;
                eventsync_limit waits max=1;
            }
        }
        location /metrics { eventsync_metrics on; eventsync_auth off; }
    }
}
CONF
$t->run_nginx;

my $one = '/one/feeds/orders/events';
$t->publish('orders', map { { id => "o$_", type => $_ % 2 ? 'odd' : 'even' } }
    1 .. 5);
my ($epoch) = $t->poll('orders')->{latest} =~ /^(.*)-/;

# A key of a partner of its own, or of one that is there.
sub key {
    my ($partner) = @_;
    return $t->partner_key($partner // 'p' . ++$partners, feeds => '*',
        scopes => 'read');
}

sub reader {
    my ($path, $key, %headers) = @_;
    my $reader = Test::Eventsync::Reader->new($t, $path, $key, %headers);
    $reader->await(sub { @{ $_[0]{named} } }) if $reader->{status} == 200;
    return $reader;
}

sub back {
    my ($path, $key, $id) = @_;
    return reader($path, $key, 'last-event-id' => $id);
}

# What became of it: it streams, or was refused so.
sub outcome {
    my ($reader) = @_;
    return $reader->{status} if $reader->{status} != 200;
    return ($reader->problem // { status => 'streams' })->{status};
}

sub lives {
    my ($reader, $id) = @_;
    $t->publish('orders', { id => $id });
    return $reader->await(sub { grep { $_->{data} =~ /"id":"$id"/ }
        @{ $_[0]{got} } }, 10);
}

###############################################################################
# its own place, wherever the old stream is

for my $round (1 .. 6) {
    my $key = key();
    my $old = reader("$one?from=latest", $key);
    is(outcome($old), 'streams', "$round: a stream");
    my $new = back($one, $key, $old->{id});
    is(outcome($new), 'streams', "$round: who comes back has its place");
    is($old->to_end, 'well', "$round: and the stream that it was cut off from ends");
    ok(lives($new, "round$round"), "$round: it goes on");
    is(outcome(reader("$one?from=latest", $key)), 429,
        "$round: there is one place, and it is taken");
    $_->close for $old, $new;
}

# Those who are seen to leave need no claim, however fast they are back.
my $key = key();
my $reader = reader("$one?from=latest", $key);
my @seen;
for my $round (1 .. 20) {
    my $id = $reader->{id};
    $round % 2 ? $reader->close : $t->reset_socket($reader->{call}{sock});
    $reader = back($one, $key, $id);
    push @seen, outcome($reader);
}
is("@seen", join(' ', ('streams') x 20), 'closed, and back at once');

###############################################################################
# nobody else's

my ($mine, $twin) = (key('pair'), key('pair'));
$reader = reader("$one?from=latest&types=odd,even", $mine);
my $id = $reader->{id};
is(outcome(reader("$one?types=odd,even", $mine)), 429, 'a second tab is refused');
is(outcome(back("$one?types=odd,even", $twin, $id)), 429,
    'as is who comes back with another key of the partner');
is(outcome(back("$one?types=odd", $mine, $id)), 429, 'or with another filter');
is(outcome(back("$one?types=odd,even", $mine, "$epoch-2")), 429,
    'or with an id that this stream never had');
is(outcome(back('/one/feeds/other/events', $mine, $t->poll('other')->{latest})),
    429, 'or to another feed');
$t->publish('orders', { id => 'alive', type => 'odd' });
is($reader->ids(1), 'alive', 'and the stream has noticed nothing of it');
my $log = $t->read_file('limit.log');
is(scalar(() = $log =~ m{^/one/feeds/\S+ 429 REJECTED$}mg), 6 + 5,
    'each refusal is one in the log');

is(outcome(back("$one?types=odd,even", $mine, $reader->{id})), 'streams',
    'but its own reader is let in');

# Whose place was got so keeps it for a while.
$key = key();
my $first = reader("$one?from=latest", $key);
my $second = back($one, $key, $first->{id});
is($first->to_end, 'well', 'one of two that are alike goes');
$first = back($one, $key, $first->{id});
is(outcome($first), 429, 'and does not drive the other out in turn');
cmp_ok($first->{retry}, '<=', 3000, 'it may try again soon');
ok(lives($second, 'kept'), 'the other goes on');

###############################################################################
# two tabs remain two

$key = key();
my $two = '/two/feeds/orders/events';
my @tabs = map { reader("$two?from=latest", $key) } 1, 2;
is(join(' ', map { outcome($_) } @tabs), 'streams streams', 'two tabs');
is(outcome(reader("$two?from=latest", $key)), 429, 'a third is refused');
for my $round (1 .. 6) {
    my $id = $tabs[0]{id};
    $tabs[0]->close;
    $tabs[0] = back($two, $key, $id);
    is(outcome($tabs[0]), 'streams', "round $round: one leaves and is back");
    ok(lives($_, "two$round"), "round $round: they live") for @tabs;
}

###############################################################################
# what has no stream of its own

$key = key();
my $poll = $t->http_start(GET => "$one?from=latest&wait=20",
    { authorization => "Bearer $key" });
ok(wait_for(sub { $t->http(GET => '/metrics')->{body}
    =~ /^eventsync_http_waiting_requests\{kind="poll"\} 1$/m }, 20),
    'a long poll waits');
$reader = back($one, $key, "$epoch-2");
is(outcome($reader), 429, 'and keeps its place');
close $poll->{sock};

my $open = '/open/feeds/orders/events';
$reader = reader("$open?from=latest", undef);
is(outcome(back($open, undef, $reader->{id})), 429,
    'who has no key has no place of his own');
ok(lives($reader, 'open'), 'and takes none');
$reader->close;

# A client that leaves while it waits leaves nothing behind.
$key = key();
$reader = reader("$one?from=latest&subject=x", $key);
for my $round (1 .. 8) {
    my $call = $t->http_start(GET => $one, { authorization => "Bearer $key",
        accept => 'text/event-stream', connection => 'keep-alive',
        'last-event-id' => "$epoch-1" });
    close $call->{sock};
}
is(outcome(back($one, $key, "$epoch-1")), 429, 'the place is still taken');
$reader->close;
ok(wait_for(sub { outcome(reader("$one?from=latest", $key)) eq 'streams' }, 20),
    'and free when its stream has ended');

done_testing();
