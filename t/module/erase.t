#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Events are erased beside two workers: each channel has the tombstone in the
# event's place, pages have another ETag, manifests go on, the event cannot be
# published again, and no byte of it is in any file of the store.

use warnings;
use strict;

use Digest::SHA qw(sha256);
use File::Find qw(find);
use IO::Uncompress::Gunzip qw(gunzip);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
my $keys = $t->write_file('keys', encode_base64('k' x 32));
chmod 0600, $keys;

$t->store_init->feed('orders')->feed('other');
my $key = $t->master_key;

$t->default_conf(http => "eventsync_key_file $keys;", location => <<'CONF');
            eventsync_pages on;
            eventsync_backfill on;
            eventsync_snapshot on;
            eventsync_sse on;
CONF
$t->run_nginx;

# Five events of a subject among a page of others, one by one and in batches,
# each through any of the workers.
my @canaries = map { uc "canary$_" } qw(id source subject extension data);

sub canary {
    my ($n) = @_;
    return { id => "CANARYID$n", source => '/CANARYSOURCE', type => 'order.x',
        subject => 'CANARYSUBJECT', ext => 'CANARYEXTENSION',
        data => { secret => 'CANARYDATA' . 'x' x (700 * $n) } };
}

sub other {
    my ($n) = @_;
    return { id => "o$n", type => 'order.y', subject => 's/' . $n % 9,
        data => { pad => 'y' x (37 * $n % 1900) } };
}

my $n = 0;
for my $i (1 .. 5) {
    $t->publish('orders', other(++$n)) for 1 .. 6;
    $t->publish('orders', canary($i));
    $t->publish('orders', map { other(++$n) } 1 .. 20);
}
$t->publish('orders', canary(6), map { other(++$n) } 1 .. 100);
$t->publish('other', canary(1), other(1));

my $epoch = $t->poll('orders', from => 'oldest', limit => 1)->{events}[0]{cursor}
    =~ s/-.*//r;
my @erased = map { 7 + 27 * $_ } 0 .. 4;
push @erased, 136;

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => "/v1/feeds/orders/$path",
        { authorization => "Bearer $key", %headers });
}

my $gzip = { 'accept-encoding' => 'gzip' };
my %before = map { $_ => get("pages/$epoch/1") } 1 .. 4;   # into each cache
my @poll = map { get('events?from=oldest&limit=50') } 1 .. 8;
my $packed = get("pages/$epoch/1", %$gzip);
my $manifest = $t->json_get('/v1/feeds/orders/manifest?from=oldest', $key);
like($before{1}{body}, qr/CANARYDATA/, 'the page has the events');

###############################################################################
# how many there are must be stated

my @erase = ('erase', '--subject=CANARYSUBJECT', '--key-file', $keys);

my ($rc, $out, $err) = $t->ctl('erase', '--subject=CANARYSUBJECT', '--dry-run');
like($out, qr/^orders: 6 events, $epoch-136$/m, 'a dry run counts the events');
like($out, qr/^purge orders-$epoch-1$/m, 'and names the pages');
like($out, qr/^7 events would be erased$/m, 'of all feeds');

($rc, undef, $err) = $t->ctl(@erase, '--expect=6');
is($rc, 1, 'another number is refused');
like($err, qr/7 events match, and not 6: nothing was erased/, 'and says why');

($rc, undef, $err) = $t->ctl('erase', '--subject=CANARYSUBJECT', '--expect=7');
is($rc, 2, 'without a key file nothing is erased');
like($err, qr/key file under which their ids are hashed/, 'and it says why');
like(get("pages/$epoch/1")->{body}, qr/CANARYDATA/, 'nothing was erased');

###############################################################################
# a long poll and a stream wait meanwhile

my $wait = $t->http_start(GET => "/v1/feeds/orders/events?after=$epoch-236&wait=20",
    { authorization => "Bearer $key" });

$out = decode_json($t->ctl_ok(@erase, '--expect=7', '--json'));
is($out->{events}, 7, 'the events are erased');
is_deeply([map { $_->{feed} } @{ $out->{feeds} }], [qw(orders other)],
    'in both feeds');
is_deeply($out->{feeds}[0]{cursors}, [map { "$epoch-$_" } reverse @erased],
    'their cursors are told');
is_deeply([grep { /^orders/ } @{ $out->{surrogate_keys} }],
    ["orders-$epoch-2", "orders-$epoch-1"], 'and the pages to purge');

###############################################################################
# every byte of the store

sub canaries_in {
    my ($dir) = @_;
    my %found;
    find({ no_chdir => 1, wanted => sub {
        return if !-f;
        open my $fh, '<:raw', $_ or die "$_: $!\n";
        local $/;
        my $bytes = <$fh>;
        my $file = $_;
        $found{"$_ in $file"}++ for grep { index($bytes, $_) >= 0 } @canaries;
    } }, $dir);
    return [sort keys %found];
}

is_deeply(canaries_in($t->store), [], 'no byte of them is in a file');

# The workers write on, with buffers that may have had them.
for (1 .. 10) {
    $t->publish('orders', other(++$n)) for 1 .. 3;
    is($t->publish('orders', map { other(++$n) } 1 .. 30)->{status}, 201,
        'a worker publishes on');
}

is_deeply(canaries_in($t->store), [], 'nor after more commits');

my $waited = decode_json($t->http_end($wait)->{body});
is($waited->{events}[0]{sequence}, sprintf('%020d', 237),
    'the long poll got the next event');

###############################################################################
# readers

sub tombstones {
    my ($channel, @events) = @_;
    my @at = grep { $events[$_]{erased} } 0 .. $#events;
    is_deeply([map { $events[$_]{sequence} + 0 } @at], \@erased,
        "$channel: there is a tombstone for each");
    my $one = $events[$at[0]];
    is_deeply([sort keys %$one], [sort qw(specversion id source type time feed
        erased digest sequence cursor prevcursor)],
        "$channel: with these members");
    is("$one->{id} $one->{source} $one->{type}",
        "erased-$epoch-7 /eventsync/erased order.x", "$channel: and values");
    my $gaps = grep { $events[$_]{prevcursor} ne $events[$_ - 1]{cursor} }
        1 .. $#events;
    is($gaps, 0, "$channel: there is no gap");
}

tombstones('poll', @{ $t->poll_all('orders') });

is((grep { get('events?from=oldest&limit=50',
    'if-none-match' => $poll[0]{headers}{etag})->{body} !~ /erased/ } 1 .. 8),
    0, 'no worker has the old answer of a poll, or calls it valid');

my $page = get("pages/$epoch/1");
my $second = get("pages/$epoch/2");
tombstones('pages', map { @{ decode_json($_->{body})->{events} } } $page,
    $second);
isnt($page->{headers}{etag}, $before{1}{headers}{etag}, 'another ETag');
is(get("pages/$epoch/1", 'if-none-match' => $before{1}{headers}{etag})
    ->{status}, 200, 'the old one is not valid any more');

is((grep { get("pages/$epoch/1")->{body} ne $page->{body} } 1 .. 8), 0,
    'each worker has the new page');

gunzip(\get("pages/$epoch/1", %$gzip)->{body} => \my $plain);
is($plain, $page->{body}, 'the encoded page is of the same events');

my @lines = map { decode_json($_) } split /\n/,
    get('backfill?from=oldest')->{body};
tombstones('backfill', grep { exists $_->{sequence} } @lines);

my $snapshot = get('snapshot?limit=1000');
unlike($snapshot->{body}, qr/CANARY|erased/,
    'snapshot: the subject is not there');

my $stream = $t->http_start(GET => '/v1/feeds/orders/events?from=oldest',
    { authorization => "Bearer $key", accept => 'text/event-stream' });
my $text = Test::Eventsync::read_until($stream, "id: $epoch-140\n",
    time() + 30);
my @sent = map { decode_json($_) } $text =~ /^data: (\{"spec.*\})$/mg;
tombstones('stream', @sent);

is(scalar @{ $t->poll('orders', from => 'oldest',
    subject => 'CANARYSUBJECT')->{events} }, 0, 'by subject there is nothing');

###############################################################################
# proof

my $again = $t->json_get(
    "/v1/feeds/orders/manifest?from=oldest&to=$manifest->{to}", $key);
is($again->{digest}, $manifest->{digest}, 'the manifest is as it was');
is($again->{count}, $manifest->{count}, 'with the same count');

my $chain = "\0" x 32;
my $plain_lines = $t->http(GET => '/v1/feeds/orders/events?from=oldest&limit=236',
    { authorization => "Bearer $key", accept => 'application/x-ndjson' })->{body};
for (split /\n/, $plain_lines) {
    my $digest = /"erased":true,"digest":"(\w{64})"/ ? pack('H*', $1)
        : sha256($_);
    $chain = sha256($chain . $digest);
}
is(unpack('H*', $chain), $manifest->{digest},
    'a reader of the tombstones can prove the same');

my $export = $t->write_file('export', $t->ctl_ok('export', 'orders'));
$t->feed('copy');
like($t->ctl_ok('import', 'copy', $export, '--key-file', $keys), qr/\d/,
    'an export with tombstones is whole');
like($t->ctl_ok('verify'), qr/ 0 faults$/m, 'the store is sound');

###############################################################################
# an erased event stays away

my $answer = $t->publish('orders', canary(3));
is($answer->{status}, 409, 'an erased event cannot be published again');
is($answer->{json}{type}, 'urn:eventsync:problem:erased', 'with its problem');
is("$answer->{json}{index} $answer->{json}{pointer}", '0 /id', 'and place');

$answer = $t->http(POST => '/v1/feeds/orders/events',
    { authorization => "Bearer $key", prefer => 'handling=lenient',
      'content-type' => 'application/x-ndjson' },
    join '', map { $t->event(%$_) . "\n" } canary(1), other(++$n));
$answer = decode_json($answer->{body});
is($answer->{results}[0]{problem}{type}, 'urn:eventsync:problem:erased',
    'alone in a lenient request');
ok($answer->{results}[1]{cursor}, 'whose other event is stored');

is($t->publish('other', { %{ canary(3) } })->{status}, 201,
    'the feed that never had the event takes it');
$t->ctl_ok(@erase, '--expect=1');
is_deeply(canaries_in($t->store), [], 'and it can be erased there');

my $one = $t->poll('orders', after => "$epoch-200", limit => 1)->{events}[0];
my $cursor = $one->{cursor};
my $id = $one->{id};
$t->ctl_ok('erase', '--feed=orders', "--event=$cursor", '--expect=1',
    '--forget-ids');
is(($t->poll('orders', after => $one->{prevcursor}, limit => 1)->{events}[0]
    // {})->{id}, "erased-$cursor", 'one event is erased by its cursor');
is($t->publish('orders', { id => $id, source => $one->{source} })->{status},
    201, 'with --forget-ids it can be published again');

for (['--event=' . $cursor, qr/"--event" needs "--feed"/],
    ['--event=x', '--feed=orders', qr/"x" is not a cursor/],
    ['--event=' . $epoch . '-0', '--feed=orders', qr/before the first event/],
    ['--event=zzzzzzzz-1', '--feed=orders', qr/cursor of another epoch/],
    ["--event=$epoch-99999", '--feed=orders', qr/cursor ahead of the log/],
    ['--subject=', qr/is empty, or not UTF-8/],
    ['--subject=x', '--feed=nofeed', qr/no feed "nofeed"/])
{
    my $why = pop @$_;
    ($rc, undef, $err) = $t->ctl('erase', @$_, '--dry-run');
    ok($rc != 0 && $err =~ $why, "@$_ is refused") or diag("$rc $err");
}

# A worker without the key file cannot know, and stores nothing.
$t->stop_nginx;
$t->default_conf;
$t->run_nginx;
$answer = $t->publish('orders', other(++$n));
is($answer->{status}, 503, 'without the key file nothing is published');
$t->allow_errors(qr/lacks the key file/);

done_testing();
