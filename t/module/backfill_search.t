#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A backfill whose filter finds nothing for long is not silent: it tells by the
# clock how far it is, and can be resumed there.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('long');
my %key = map { $_ => $t->partner_key($_, feeds => '*', scopes => 'read') }
    qw(one small revoked);

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        eventsync_backfill_heartbeat 1ms;

        location /v1/ {
            eventsync_backfill on;
            eventsync_poll on;
        }

        location /little/ {
            eventsync_backfill on;
            eventsync_limit backfill rate=1k/d burst=1k;
        }

        location /patient/ {
            eventsync_backfill on;
            eventsync_backfill_heartbeat 1d;
        }

        location /slow/ {
            eventsync_backfill on;
            eventsync_backfill_heartbeat 300ms;
            eventsync_limit backfill rate=1k/d burst=1k;
        }

        location /proxied/ {
            proxy_pass http://127.0.0.1:%%PORT_0%%/slow/;
        }

        location /gzip/ {
            eventsync_backfill on;
            gzip on;
            gzip_types *;
        }
    }
}
CONF
$t->run_nginx;

# Half of them are of one subject and the others of one type. A few are both.
my $n = 0;
for my $part (0 .. 9) {
    $t->ctl_ok({ stdin => join '', map { $n++;
        $t->event(id => "l$n", $n > 60000 && $n % 10000 == 0 ? (type => 'b', subject => 's')
            : $n % 2 ? (type => 'a', subject => 's') : (type => 'b')) . "\n" }
        1 .. 10000 }, 'publish', 'long');
}
my $filter = 'subject=s&types=b';

sub start {
    my ($place, $query, $who) = @_;
    return $t->http_start(GET => "$place/feeds/long/backfill?$query",
        { authorization => "Bearer $key{$who}" });
}

sub backfill {
    my ($place, $query, $who) = @_;
    return parts($t->http_end(start($place, $query, $who // 'one')),
        "$place $query");
}

sub parts {
    my ($answer, $name) = @_;
    my @lines = split /^/, $answer->{body};
    my @events = grep { /^\{"specversion":/ } @lines;
    my @positions = grep { /^\{"position":/ } @lines;
    my ($last) = map { Test::Eventsync::json($_) } pop @lines;
    is(scalar @lines, @events + @positions, "$name: no other lines");
    return { lines => \@lines, events => \@events,
        positions => \@positions, last => $last };
}

sub sequence { return Test::Eventsync::json($_[0])->{position}{cursor} =~ s/.*-//r }
sub sequences { return map { sequence($_) } @{ $_[0]{positions} } }

my $quiet = backfill('/patient', $filter);
my $events = join '', @{ $quiet->{events} };
is(scalar @{ $quiet->{events} }, 4, 'a few match');
is(scalar @{ $quiet->{positions} }, 0, 'there is no position before its time');

# The searches of one worker take turns, so that each of many takes long.
# Which of them meet is up to the machine.
my ($found, @others) = sort { @{ $b->{positions} } <=> @{ $a->{positions} } }
    map { parts($t->http_end($_), 'one of many') }
    map { start('/v1', $filter, 'one') } 1 .. 40;
cmp_ok(scalar(grep { @{ $_->{positions} } >= 2 } $found, @others), '>', 20,
    'by the clock there are some');
is(scalar(grep { join('', @{ $_->{events} }) ne $events } @others), 0,
    'and everybody has the same events');
like($found->{positions}[0],
    qr/\A\{"position":\{"cursor":"[a-z2-7]+-\d+"\}\}\n\z/, 'each is a line');
my @seen = sequences($found);
is_deeply([ @seen ], [ sort { $a <=> $b } @seen ], 'which is further each time');
is(join('', @{ $found->{events} }), $events, 'the events are the same');
is_deeply($found->{last}, $quiet->{last}, 'and so is the manifest');
is($found->{last}{manifest}{bytes}, length $events,
    'which counts no positions');
is($found->{last}{manifest}{digest}, sha256_hex($events), 'nor has them digested');

# Between two events, and with what is after the last one.
{
    my $to = $found->{last}{manifest}{to};
    for my $position ($found->{positions}[0], $found->{positions}[-1]) {
        my ($cursor) = $position =~ /"cursor":"([^"]+)"/;
        my $at = $cursor =~ s/.*-//r;
        my @left = grep { /"cursor":"[^"]+-(\d+)"/ && $1 > $at }
            @{ $found->{events} };
        $left[0] =~ s/"prevcursor":"\K[^"]+/$cursor/ if @left;
        is(join('', @{ backfill('/v1', "after=$cursor&to=$to&$filter")->{events} }),
            join('', @left), 'resumed at a position, the others come');
    }
}

my $none = backfill('/v1', 'subject=nobody&types=b');
is($none->{last}{manifest}{count}, 0, 'nothing matches');
is(scalar @{ $none->{positions} }, 0,
    'what an index answers needs no position');
is(scalar @{ backfill('/v1', '')->{positions} }, 0,
    'nor does a stream without a filter');

# A quota that is used up slows events, and not the search for them.  It would
# suffice for 25 positions, and all others would come byte by byte.
my ($before) = $events =~ /"prevcursor":"([^"]+)"/;
my @slow = map { start('/little', "to=" . $before =~ s/-.*/-60000/r
    . "&$filter", 'small') } 1 .. 40;
my ($end, $whole) = (time + 60, 0);
for my $call (@slow) {
    1 until $call->{buf} =~ /"position".*"position".*\n|\r\n1\r\n/s
        || !Test::Eventsync::fill($call, $end);
    $whole += () = $call->{buf} =~ /\r\n[0-9a-f]{2}\r\n\{"position"/g;
}
cmp_ok($whole, '>', 40, 'positions are not charged');
close $_->{sock} for @slow;

# nginx in front holds back no byte, although it does not know what a slowed
# stream is.
my $behind = start('/proxied', '', 'small');
1 until $behind->{buf} =~ /\r\n\r\n.*?\{.*?"/s
    || !Test::Eventsync::fill($behind, time + 20);
like($behind->{buf}, qr/\r\n\r\n.*?\{.*?"/s, 'a proxy passes on each byte');
unlike($behind->{buf}, qr/specversion/, 'when it comes');
close $behind->{sock};

SKIP: {
    my $out = $t->testdir . '/gzip.out';
    system('curl', '-s', '--compressed', '-o', $out, '-H',
        "Authorization: Bearer $key{one}", 'http://127.0.0.1:' . $t->port(0)
        . "/gzip/feeds/long/backfill?$filter") == 0 or skip 'no curl', 2;
    my $text = $t->read_file('gzip.out');
    like($text, qr/^\{"position"/m, 'compressed, too');
    is(join('', grep { /^\{"specversion"/ } split /^/, $text), $events,
        'with the same events');
}

# An error while it searches: the reader goes on where the search was.
my @calls = map { start($_, $filter, 'revoked') } ('/v1') x 39, '/patient', '/v1';
1 until $calls[-1]{buf} =~ /"position"/
    || !Test::Eventsync::fill($calls[-1], $end);
my ($worker) = $t->workers;
kill STOP => $worker;
$t->ctl_ok('key', 'revoke', $key{revoked} =~ /esk_([^_]+)/);
kill CONT => $worker;
my @ends = map { $t->http_end($_)->{body} } @calls;
my @next = map { /^\{"error":.*"next":"[^"]+-(\d+)"\}\n\z/m }
    @ends[-2, -1];
is(scalar @next, 2, 'a key that is revoked in a search: a last line says so')
    or diag @ends[-2, -1];
my @at = $ends[-1] =~ /"position":\{"cursor":"[^"]+-(\d+)"/g;
cmp_ok($next[1] // 0, '>=', $at[-1], 'whose next is where the search was');
cmp_ok($next[0] // 0, '>', 0, 'although the stream has not said so before');

done_testing();
