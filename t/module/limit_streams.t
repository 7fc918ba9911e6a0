#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Limits of what is streamed: its bytes keep to their rate, whoever reads as
# fast as he can; what the log says of it; and a limit that only watches.

use warnings;
use strict;

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant SLICE => 128 * 1024;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('long')->feed('short');
my %key = map { $_ => $t->partner_key($_, feeds => '*', scopes => 'read') }
    qw(one dry small free);

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    log_format limit '$uri $status $eventsync_limit_status '
                     '$eventsync_limit_policy';
    access_log %%TESTDIR%%/limit.log limit;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        client_max_body_size 16m;

        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_backfill on;

            location /rate/ {
                eventsync_limit backfill rate=300k/s burst=100k;
            }

            location /little/ {
                eventsync_limit backfill rate=1k/d burst=1k;
            }

            location /dry/ {
                eventsync_limit_dry_run on;
                eventsync_limit backfill rate=1k/d burst=1k;
            }
        }

        location = /refusals {
            return 200 "$eventsync_limited_backfill $eventsync_limited_dry_run_backfill";
        }
    }
}
CONF
$t->run_nginx;

# What it is as a stream: more than three slices.
$t->{prefix} = '';
$t->publish('long', map { { data => { x => 'w' x 900 } } } 1 .. 700);
$t->publish('short', {});

sub start {
    my ($place, $who, $feed) = @_;
    return $t->http_start(GET => "$place/feeds/" . ($feed // 'long')
        . '/backfill', { authorization => "Bearer $key{$who}" });
}

my $whole = $t->http_end(start('', 'free'))->{body};
my $size = length $whole;
cmp_ok($size, '>', 4 * SLICE, 'a long stream');

sub refusals { return $t->http(GET => '/refusals')->{body} }

sub logged {
    my ($place) = @_;
    return join '', $t->read_file('limit.log') =~ m{^(\Q$place\E/.*\n)}mg;
}

###############################################################################
# bytes by time

# Reads a stream as it comes: for each time how much had come by then.
sub read_stream {
    my ($call) = @_;
    my ($end, @seen) = (time + 60);
    my $select = IO::Select->new($call->{sock});

    while (time < $end) {
        $select->can_read(1) or next;
        my $n = sysread $call->{sock}, $call->{buf}, 65536,
            length $call->{buf};
        last if !$n;
        push @seen, [ time, length $call->{buf} ];
    }
    return @seen;
}

my ($rate, $burst) = (300 * 1024, 100 * 1024);
my $began = time;
my $call = start('/rate', 'one');
my @seen = read_stream($call);
my $around = $seen[-1][1] - $size;

# An upper bound, which a machine that is slow only keeps better.
my @over = grep { $_->[1] - $around > $burst + $rate * ($_->[0] - $began)
    + SLICE } @seen;
is(scalar @over, 0, 'never more than burst, what was earned, and a slice')
    or diag(join "\n", map { sprintf '%.3f s: %d', $_->[0] - $began, $_->[1] }
        grep { defined } @over[0 .. 4]);
is($t->http_end($call)->{body}, $whole, 'and whole');

ok(wait_for(sub { logged('/rate') }), 'it is logged');
is(logged('/rate'), "/rate/feeds/long/backfill 200 DELAYED backfill\n",
    'as delayed');
is(refusals(), '0 0', 'which is no refusal');

# One that fits is not delayed.
is($t->http_end(start('/rate', 'free', 'short'))->{status}, 200, 'a short one');
ok(wait_for(sub { logged('/rate') =~ m{/short/.* PASSED backfill\n} }),
    'is not delayed');

###############################################################################
# over the quota

# Reads whole chunks of a stream until its body has so many bytes, and returns
# it.
sub body_of {
    my ($call, $n) = @_;
    my ($body, $end) = ('', time + 60);

    until (length $body >= $n || !Test::Eventsync::fill($call, $end)) {
        $body = dechunked($call->{buf} =~ /\r\n\r\n(.*)\z/s ? $1 : '');
    }
    return $body;
}

# Empty while a chunk is not there as a whole.
sub dechunked {
    my ($text) = @_;
    my $body = '';

    while ($text =~ s/\A([0-9a-f]+)\r\n//i) {
        return '' if length $text < 2 + hex $1;
        $body .= substr $text, 0, hex $1, '';
        $text =~ s/\A\r\n//;
    }
    return $body;
}

my $slow = start('/little', 'small');
ok($t->logged('error.log', qr/slows partner "small" by "backfill",/, 20),
    'one that has to wait');
my $had = length body_of($slow, 1);
my $line = () = substr($whole, 0, $had) =~ /\n/g;
my ($after) = (split /\n/, $whole)[$line - 1] =~ /"cursor":"([^"]+)"/;

my $again = $t->http_start(GET => "/little/feeds/long/backfill?after=$after",
    { authorization => "Bearer $key{small}" });
my $rest = substr $whole, $had;

is(body_of($slow, $had + 2), substr($whole, 0, $had + 2),
    'it is not silent: a byte comes, and another one');
is(body_of($again, 2), substr($rest, 0, 2),
    'one that is resumed is not refused, and is not silent either');
like($again->{buf}, qr/\AHTTP\/1\.1 200 /, 'its status');
like($again->{buf}, qr/^RateLimit: "backfill";r=0;t=\d+/m,
    'its header says that nothing is left');
is(refusals(), '0 0', 'none of them is counted as refused');
close $_->{sock} for $slow, $again;
ok(wait_for(sub { 2 == (() = logged('/little') =~ /\n/g) }, 20), 'both end');
is(logged('/little'), "/little/feeds/long/backfill 200 DELAYED backfill\n" x 2,
    'each is logged as delayed');

# What a byte begins cannot be ended by the line of an error.
my $cut = start('/little', 'small');
is(length body_of($cut, 1), 1, 'a line that has begun');
$t->ctl_ok('key', 'revoke', $key{small} =~ /esk_([^_]+)/);
is($t->http_end($cut)->{status}, 0, 'is cut when the key is revoked');

###############################################################################
# dry run

is($t->http_end(start('/dry', 'dry'))->{body}, $whole,
    'dry run: a stream is not slowed');
is(refusals(), '0 1', 'but counted once');
is($t->http_end(start('/dry', 'dry'))->{body}, $whole, 'nor is one refused');
is(refusals(), '0 2', 'but counted once, too');
ok(wait_for(sub { 2 == (() = logged('/dry') =~ /\n/g) }), 'both are logged');
is(logged('/dry'), <<'LOG', 'as what they would have been');
/dry/feeds/long/backfill 200 DELAYED_DRY_RUN backfill
/dry/feeds/long/backfill 200 DELAYED_DRY_RUN backfill
LOG
like($t->read_file('error.log'),
    qr/slows partner "dry" by "backfill", dry run,/, 'in both logs');

done_testing();
