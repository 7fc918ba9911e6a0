#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Packed history and the module: encoded pages and byte ranges are those of
# plain history, and a damaged frame is an error and a log line.
# t/store/packed.t compares the other channels.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders', pack => 'off');
my $key = $t->master_key;
$t->default_conf(location => <<'LOCATION');
            eventsync_backfill on;
            eventsync_pages on;
LOCATION
$t->run_nginx;

for my $n (1 .. 620) {
    $t->publish('orders', { type => $n % 40 ? 'test.often' : 'test.rare',
        data => { n => $n, text => "\x{e9}" x ($n % 60) } })->{status} == 201
        or die "cannot publish\n";
}

my ($epoch) = get('/v1/feeds/orders/events?limit=1')->{body}
    =~ /"cursor":"([^-"]+)-/;
my @paths = ("/v1/feeds/orders/pages/$epoch/1",
    "/v1/feeds/orders/events?limit=100&after=$epoch-150",
    "/v1/feeds/orders/events?after=$epoch-0&types=test.rare",
    "/v1/feeds/orders/backfill?after=$epoch-0&to=$epoch-300");

my %plain = answers();
$t->ctl_ok('feed', 'pack', 'orders');
$t->reload;
my %packed = answers();
is($packed{$_}, $plain{$_}, "the same bytes: $_") for sort keys %plain;

damaged();

done_testing();

###############################################################################

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $key", %headers });
}

sub answers {
    my %got;
    for my $coding (qw(gzip zstd br identity)) {
        my $answer = get($paths[0], 'accept-encoding' => $coding);
        $got{"a page as $coding"} = "$answer->{headers}{etag}\n$answer->{body}";
    }
    $got{'a range'} = get($paths[0], range => 'bytes=1000-1999')->{body};
    return %got;
}

# Another byte in each of the frames, wherever they are in the file.
sub damaged {
    $t->stop_nginx;
    my $file = $t->store . '/log/data.mdb';
    open my $f, '+<:raw', $file or die "$file: $!\n";
    my $bytes = do { local $/; <$f> };
    while ($bytes =~ /\x28\xb5\x2f\xfd/g) {
        my $at = pos($bytes) + 40;
        seek $f, $at, 0;
        print $f chr(ord(substr $bytes, $at, 1) ^ 0x10);
    }
    close $f;

    my ($rc, $out) = $t->ctl('verify');
    is($rc, 1, 'verify finds a damaged frame');
    like($out, qr/^feed orders: the packed record of events 1 to 100 is damaged/m,
        'and says where');

    $t->allow_errors(qr/record does not match its hash/);
    $t->run_nginx;
    for my $path (@paths[0 .. 2]) {
        my $answer = get($path);
        is($answer->{status}, 500, "an error: $path");
        unlike($answer->{body}, qr/specversion/, 'without any event');
    }
    unlike(get($paths[3])->{body}, qr/specversion/, 'nor has a backfill one');
    like($t->read_file('error.log'),
        qr/store failed: record does not match its hash/, 'and a log line');
}
