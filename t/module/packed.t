#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Packed history: every channel sends the same bytes before a feed is packed,
# afterwards, and when it has been unpacked again; with ranges, filters, encoded
# pages and slices.  A damaged frame is an error and a log line.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders', pack => 'off');
my $key = $t->master_key;
$t->default_conf(location => <<'LOCATION');
            eventsync_backfill on;
            eventsync_snapshot on;
            eventsync_pages on;
            eventsync_sse on;
LOCATION
$t->run_nginx;

for my $n (1 .. 1250) {
    $t->publish('orders', map { event($_) } $n % 7 ? $n : map { $n + $_ / 10 }
        0 .. 9)->{status} == 201 or die "cannot publish\n";
}

my ($epoch) = get('/v1/feeds/orders/events?limit=1')->{body}
    =~ /"cursor":"([^-"]+)-/;
my @paths = (
    (map { "/v1/feeds/orders/events?limit=100&after=$epoch-$_" }
        0, 1, 99, 100, 550, 1234),
    "/v1/feeds/orders/events?limit=1000&after=$epoch-3",
    (map { "/v1/feeds/orders/events?after=$epoch-7&limit=100&$_" }
        'types=test.rare', 'types=test.often,test.rare', 'types=test.*',
        'types=none', 'subject=s3', 'subject=s3&types=test.often'),
    (map { "/v1/feeds/orders/pages/$epoch/$_" } 0, 3, 9),
    "/v1/feeds/orders/backfill?after=$epoch-0",
    "/v1/feeds/orders/backfill?after=$epoch-250&to=$epoch-851&sha256=1",
    '/v1/feeds/orders/snapshot?limit=1000',
    "/v1/feeds/orders/snapshot?limit=3&at=$epoch-777",
    "/v1/feeds/orders/manifest?after=$epoch-123&to=$epoch-987",
);

my %plain = answers();
my $packed = Test::Eventsync::json($t->ctl_ok('feed', 'pack', 'orders',
    '--json'));
ok($packed->{pages} > 10
    && $packed->{bytes_after} < $packed->{bytes_before} / 3,
    'the feed is packed');
is_same('packed', answers());
ok($t->verify, 'the store is sound');

$t->reload;
is_same('packed, by fresh workers', answers());

$t->ctl_ok('feed', 'unpack', 'orders');
is_same('unpacked', answers());
ok($t->verify, 'and sound');

damaged();

done_testing();

###############################################################################

sub event {
    my ($n) = @_;
    return { subject => 's' . int($n) % 11, data => { n => $n, text => "\x{e9}" x
            (int($n) % 60) }, type => $n % 40 ? 'test.often' : 'test.rare' };
}

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $key", %headers });
}

# What tells answers apart, without the moment at which they were made.
sub answers {
    my %got;
    for my $path (@paths) {
        my $answer = get($path);
        $got{$path} = "$answer->{status} " . ($answer->{etag} // '')
            . sha256_hex($answer->{body});
    }
    my $page = "/v1/feeds/orders/pages/$epoch/5";
    for my $coding (qw(gzip zstd br)) {
        $got{"$page as $coding"} = sha256_hex(get($page,
            'accept-encoding' => $coding)->{body});
    }
    $got{range} = get($page, range => 'bytes=1000-1999')->{body};
    $got{stream} = stream();
    return %got;
}

# The events of a stream that begins in the middle of a page.
sub stream {
    my $reader = Test::Eventsync::Reader->new($t,
        "/v1/feeds/orders/events?after=$epoch-321", $key);
    $reader->await(sub { @{ $_[0]{got} } >= 600 });
    my @got = map { $_->{data} } @{ $reader->{got} }[0 .. 599];
    $reader->close;
    return join "\n", @got;
}

sub is_same {
    my ($name, %got) = @_;
    my @other = grep { $got{$_} ne $plain{$_} } sort keys %plain;
    is_deeply(\@other, [], "every answer is the same: $name");
}

# Another byte in each of the frames, wherever they are in the file.
sub damaged {
    $t->ctl_ok('feed', 'pack', 'orders');
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
    is($rc, 1, 'verify finds it');
    like($out, qr/^feed orders: the packed record of events 1 to 100 is damaged/m,
        'and says where');

    $t->allow_errors(qr/record does not match its hash/);
    $t->run_nginx;
    for my $path ($paths[0], "/v1/feeds/orders/pages/$epoch/3",
        "/v1/feeds/orders/events?after=$epoch-0&types=test.rare") {
        my $answer = get($path);
        is($answer->{status}, 500, "an error: $path");
        unlike($answer->{body}, qr/specversion/, 'without any event');
    }
    like($t->read_file('error.log'),
        qr/store failed: record does not match its hash/, 'and a log line');
}
