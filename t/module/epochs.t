#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An epoch that begins after the last event keeps all events as they are:
# cursors, pages, digests and snapshots of the earlier epoch are good up to
# there, and what lies beyond is 410.

use warnings;
use strict;

use Digest::SHA qw(sha256);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders',
    scopes => 'read,publish,ack');

$t->write_file_expand('nginx.conf', <<'CONF');
events {
}

http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_feeds on;
            eventsync_poll on;
            eventsync_sse on;
            eventsync_checkpoints on;
            eventsync_publish on;
            eventsync_pages on;
            eventsync_backfill on;
            eventsync_snapshot on;
        }

        location = /ops/metrics {
            eventsync_metrics on;
            eventsync_auth off;
        }
    }
}
CONF
$t->run_nginx;

sub http {
    my ($method, $path, $headers, $body) = @_;
    return $t->http($method => "/v1/feeds/orders/$path",
        { authorization => "Bearer $key", %{ $headers // {} } }, $body);
}
sub get { my $answer = http(GET => @_); return ($answer,
    Test::Eventsync::json($answer->{body}) // {}) }
sub lines { split /\n/, http(GET => "events?limit=1000&$_[0]",
    { accept => 'application/x-ndjson' })->{body} }
# so large that pages are sent in slices
my $pad = 'x' x 2000;
sub put { my ($from, $to) = @_; my $answer = $t->publish('orders',
    map { { id => "e$_", type => 't.' . $_ % 3, subject => 's/' . $_ % 5,
        time => '2026-11-30T12:00:00Z', data => { x => $pad } } } $from .. $to);
    return @{ Test::Eventsync::json($answer->{body})->{results} } }
sub member { $_[1] =~ /"$_[0]":"([^"]*)"/ ? $1 : '' }
sub gone {
    my ($path, $name) = @_;
    my ($answer, $doc) = get($path);
    is($answer->{status}, 410, "$name: 410");
    like($doc->{type}, qr/:feed-reset$/, "$name: feed-reset");
    ok(exists $doc->{missed} && !defined $doc->{missed},
        "$name: what is missed is not known");
    return $doc;
}

my $put = sub { map { $_->{cursor} } put(@_) };
my $first = ($put->(1, 150))[0];
my ($old) = $first =~ /^(.*)-1$/;

###############################################################################
# before

my @before = lines("after=$old-0");
is(scalar @before, 150, 'events of the first epoch');
my ($page_before) = get("pages/$old/1");
my $gzip_before = http(GET => "pages/$old/1", { 'accept-encoding' => 'gzip' });
my (undef, $manifest_before) = get("manifest?after=$old-0&to=$old-150");
my (undef, $snapshot_before) = get('snapshot?limit=2');
is(http(PUT => 'checkpoints/billing', { 'content-type' => 'application/json' },
    qq({"cursor":"$old-120"}))->{status}, 201, 'a checkpoint');

# requests that wait meanwhile
my $poll = $t->background(poll => sub { my ($answer)
    = get("events?after=$old-150&wait=20"); print $answer->{body} });
my $stream = Test::Eventsync::Reader->new($t,
    "/v1/feeds/orders/events?after=$old-148", $key);
ok($t->waiting(1), 'a poll waits');
is_deeply([map { $_->{cursor} } $stream->events(2)], ["$old-149", "$old-150"],
    'and a stream');

my $new = $t->ctl_ok('feed', 'begin-epoch', 'orders') =~ s/\s//gr;
like($new, qr/^[a-z2-7]{8}$/, 'feed begin-epoch prints the epoch');
isnt($new, $old, 'which is new');
ok($t->verify, 'the store verifies');

###############################################################################
# without new events

{
    my ($answer, $doc) = get("events?after=$old-150");
    is_deeply([$answer->{status}, @$doc{qw(next oldest latest)}], [200,
        "$old-150", "$old-0", "$old-150"], 'the last cursor is good');
    is_deeply([lines("after=$old-0")], \@before, 'the events are the same');
    is_deeply([lines("after=$new-0")], \@before, 'also for the new epoch');
    (undef, $doc) = get('');
    my $feed = Test::Eventsync::json($t->http(GET => '/v1/feeds/orders',
        { authorization => "Bearer $key" })->{body});
    is_deeply([@$feed{qw(epoch oldest latest)}], [$new, "$old-0", "$old-150"],
        'the feed says its epoch');
    gone("events?after=$old-151", 'a cursor beyond the end');
    ($answer) = get("events?after=$new-151");
    is($answer->{status}, 400, 'one of the new epoch is ahead');
    gone('events?after=aaaaaaaa-1', 'another epoch');
}

###############################################################################
# with new events

is_deeply([$put->(151, 250)], [map { "$new-$_" } 151 .. 250],
    'new events have the new epoch');
is_deeply([ map { [@$_{qw(cursor duplicate)}] } put(100, 100) ],
    [["$old-100", JSON::PP::true()]], 'a repeated event has its old cursor');

is($poll->wait(20), 0, 'the poll was answered');
like($poll->stdout, qr/"cursor":"$new-151","prevcursor":"$old-150"/,
    'with the first event of the new epoch, after the last of the old one');

my @all = lines("after=$old-0");
is(scalar @all, 250, 'all events are there');
is_deeply([@all[0 .. 149]], \@before, 'the old ones unchanged');
my $held = "$old-0";
my @broken = grep { my $prev = member('prevcursor', $_); my $ok = $prev eq $held;
    $held = member('cursor', $_); !$ok } @all;
is_deeply(\@broken, [], 'each event follows the cursor of the one before');
is_deeply([lines("after=$old-100")], [@all[100 .. 249]],
    'a reader of the old epoch goes on');
gone("events?after=$old-151", 'a cursor beyond the end');

for my $filter ('types=t.1', 'subject=s/2', 'types=t.2&subject=s/2') {
    my $held = "$old-0";
    my @found = lines("after=$old-0&$filter");
    ok(@found > 3, "$filter: there are events");
    my @broken = grep { my $prev = member('prevcursor', $_);
        my $ok = $prev eq $held; $held = member('cursor', $_); !$ok } @found;
    is_deeply(\@broken, [], "$filter: each follows the one before");
    is_deeply([map { member('id', $_) } @found], [map { member('id', $_) }
        grep { /"type":"t\.1"/ && $filter eq 'types=t.1'
            || /"subject":"s\/2"/ && $filter eq 'subject=s/2'
            || /"type":"t\.2".*"subject":"s\/2"/ && $filter =~ /&/ }
        @all], "$filter: and none is left out");
}

is_deeply([map { $_->{cursor} } $stream->events(100)],
    [map { "$new-$_" } 151 .. 250], 'the stream goes on');
$stream->close;

$stream = Test::Eventsync::Reader->new($t,
    "/v1/feeds/orders/events?after=$new-100", $key);
is(($stream->events(1))[0]{cursor}, "$old-101", 'a stream of the new epoch');
is(($stream->positions)[0], "$old-100",
    'says its position by the cursor of the event');
$stream->close;

###############################################################################
# pages

{
    my ($page, $doc) = get("pages/$old/1");
    is($page->{body}, $page_before->{body}, 'a full page is the same bytes');
    is($page->{headers}{etag}, $page_before->{headers}{etag}, 'with its ETag');
    like($page->{headers}{'cache-control'}, qr/immutable/, 'and immutable');
    my $gzip = http(GET => "pages/$old/1", { 'accept-encoding' => 'gzip' });
    is($gzip->{headers}{etag}, $gzip_before->{headers}{etag},
        'in each encoding');

    ($page, $doc) = get("pages/$old/2");
    is_deeply([$page->{status}, scalar @{ $doc->{events} }, @$doc{qw(epoch next)}],
        [200, 50, $old, "$old-150"], 'the last page ends with the epoch');
    unlike($page->{headers}{'cache-control'}, qr/immutable/,
        'and is not for ever');
    (undef, my $head) = get("pages/$old/head");
    is_deeply($head, $doc, 'it is the head of the old epoch');
    gone("pages/$old/3", 'a page beyond it');

    ($page, $doc) = get("pages/$new/2");
    is_deeply([map { $_->{cursor} } @{ $doc->{events} }],
        [map { member('cursor', $_) } @all[100 .. 199]],
        'the page of the new epoch has the events of both');
    like($page->{headers}{'cache-control'}, qr/immutable/, 'and is immutable');
    my ($again) = get("pages/$new/1");
    is_deeply([map { $_->{cursor} } @{ Test::Eventsync::json($again->{body})
        ->{events} }], [map { member('cursor', $_) } @all[0 .. 99]],
        'earlier pages have the new epoch, too');
    is(http(GET => "pages/$new/4")->{status}, 404, 'a later page is not there');
}

###############################################################################
# proofs, streams, snapshots, checkpoints

{
    my $d = "\0" x 32;
    my @chain = (unpack('H*', $d), map { $d = sha256($d . sha256($_));
        unpack 'H*', $d } @all);
    my (undef, $m) = get("manifest?after=$old-0&to=$old-150");
    is_deeply({ %$m, epoch => $old }, $manifest_before,
        'the digest of the old events is the same');
    is($m->{epoch}, $new, 'told by the feed of the new epoch');
    (undef, $m) = get("manifest?after=$old-100&to=$new-200");
    is_deeply([@$m{qw(from to count digest_from digest)}], ["$old-100",
        "$new-200", 100, @chain[100, 200]], 'the chain goes on');

    my @lines = split /\n/, http(GET => "backfill?after=$old-100&to=$new-200")
        ->{body};
    $m = Test::Eventsync::json(pop @lines)->{manifest};
    is_deeply(\@lines, [@all[100 .. 199]], 'a backfill over both epochs');
    is_deeply([@$m{qw(complete first last next digest)}], [JSON::PP::true(),
        "$old-101", "$new-200", "$new-200", $chain[200]], 'and its manifest');

    my ($page, $doc) = get("snapshot?limit=10&page=$snapshot_before->{next}");
    is_deeply([$page->{status}, $doc->{cursor}], [200, "$old-150"],
        'a snapshot of the old epoch goes on');
    is_deeply([sort map { $_->{subject} } @{ $snapshot_before->{events} },
        @{ $doc->{events} }], [map { "s/$_" } 0 .. 4], 'to its end');

    ($page, $doc) = get('checkpoints/billing');
    is_deeply([@$doc{qw(cursor status)}, $doc->{lag}{events}],
        ["$old-120", 'ok', 130], 'a checkpoint of the old epoch is good');
    my $ack = sub { http(PUT => 'checkpoints/billing', { 'content-type' =>
        'application/json' }, qq({"cursor":"$_[0]"}))->{status} };
    is($ack->("$new-160"), 200, 'and moves on in the new one');
    is($ack->("$old-140"), 409, 'but not back');
    is($ack->("$old-151"), 410, 'nor to what was lost');
}

is($t->ctl_ok('tail', 'orders', "--after=$old-149", '--limit=2'),
    "$all[149]\n$all[150]\n", 'tail reads over both epochs');

###############################################################################
# many epochs: the oldest one is forgotten, its events are not

my @epochs = ($old, $new);
for (1 .. 15) {
    push @epochs, $t->ctl_ok('feed', 'begin-epoch', 'orders') =~ s/\s//gr;
    put(250 + $_, 250 + $_) if $_ % 2;
}
is((get("events?after=$old-150"))[0]{status}, 200, 'sixteen epochs before');
push @epochs, $t->ctl_ok('feed', 'begin-epoch', 'orders') =~ s/\s//gr;
gone("events?after=$old-150", 'one more');
is((get("events?after=$new-250"))[0]{status}, 200, 'the others are good');
my @later = lines('from=oldest');
is_deeply([@later[0 .. 249]], \@all, 'the events are the same');
ok($t->verify, 'the store verifies');
is_deeply([map { member('id', $_) } lines("after=$new-0&types=t.1")],
    [map { member('id', $_) } grep { /"type":"t\.1"/ } @later],
    'filters find them');

$t->ctl_ok('feed', 'trim', 'orders', "--before=$new-201");
ok($t->verify, 'a trimmed store verifies');
my ($answer, $doc) = get("events?after=$new-100");
is_deeply([$answer->{status}, $doc->{missed}, $doc->{oldest}],
    [410, 100, "$new-200"], 'an earlier epoch expires as the present one');

$t->ctl_ok('feed', 'reset', 'orders');
gone("events?after=$_", 'after a reset') for "$new-250", "$epochs[-1]-250";

my ($rc, undef, $err) = $t->ctl('feed', 'begin-epoch', 'none');
is($rc, 1, 'a feed that is not there');
like($err, qr/\Aeventsyncctl: no feed "none"\n\z/, 'is named');

done_testing();
