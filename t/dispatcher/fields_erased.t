#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Erased events under field lists and under encryption, in each channel: the
# tombstone says that the event was erased, and has no digest, against which a
# reader could test guesses of what its list hides.

use warnings;
use strict;

use Digest::SHA qw(sha256 sha256_hex);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $keys = $t->write_file('keys', encode_base64('k' x 32));
chmod 0600, $keys;
my $jwk = $t->write_file('jwk', '{"kty":"EC","crv":"P-256","kid":"k",'
    . '"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",'
    . '"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}');

# Readers: without a list; under one; under one that names the attributes of
# tombstones; and one whose values are encrypted.
my %lists = (plain => '', listed => '{"*":{"allow":["/n","tag"]}}',
    named => '{"*":{"allow":["erased","digest"]}}',
    sealed => '{"*":{"encrypt":["/mail"]}}');
my %key;
for my $who (sort keys %lists) {
    $key{$who} = $t->partner_key($who, feeds => '*');
    $t->ctl_ok(qw(partner change), $who, "--encryption-key=$jwk",
        "--fields=$lists{$who}");
}

$t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_", tag => "tag-$_",
    subject => 's' . $_ % 10, type => $_ % 2 ? 'odd' : 'even',
    data => { n => $_, mail => "canary-$_" }) . "\n" } 1 .. 120 },
    'publish', 'orders');
my @published = split /\n/, $t->ctl_ok('tail', 'orders');
my ($epoch) = $published[0] =~ /"cursor":"(\w+)-1"/;

$t->default_conf(http => "eventsync_key_file $keys;", location => <<'CONF');
            eventsync_pages on;
            eventsync_backfill on;
            eventsync_snapshot on;
            eventsync_sse on;
CONF
$t->run_nginx;

sub get {
    my ($who, $path, %headers) = @_;
    return $t->http(GET => "/v1/feeds/orders/$path",
        { authorization => "Bearer $key{$who}", %headers })->{body};
}

# What each channel has of the reader, before (into every cache) and after.
sub channels {
    my ($who) = @_;
    my $reader = Test::Eventsync::Reader->new($t,
        '/v1/feeds/orders/events?from=oldest', $key{$who});
    my $stream = sub { join "\n", map { $_->{data} } @{ $reader->{all} } };
    ok($reader->await(sub { $stream->() =~ /"cursor":"$epoch-120"/ }, 30),
        "$who: the stream has come");
    $reader->close;
    return (
        poll => get($who, 'events?from=oldest&limit=200'),
        filtered => get($who, 'events?from=oldest&limit=200&types=odd')
            . get($who, 'events?from=oldest&limit=200&types=even'),
        lines => get($who, 'events?from=oldest&limit=200',
            accept => 'application/x-ndjson'),
        page => get($who, "pages/$epoch/1") . get($who, 'pages/head'),
        backfill => get($who, 'backfill?from=oldest'),
        stream => $stream->(),
    );
}

channels($_) for sort keys %lists;
my %before = map { $_ => get($_, "pages/$epoch/1") } sort keys %lists;
like($before{listed}, qr/"tag":"tag-7","feed".*"data":\{"n":7\}/,
    'the event is shown by the list');
like($before{sealed}, qr/"mail":"eyJ/, '... or is encrypted');

###############################################################################

my $erased = $t->ctl_ok('erase', '--feed=orders', "--event=$epoch-7", '--expect=1',
    "--key-file=$keys", '--json');
is(decode_json($erased)->{events}, 1, 'an event is erased');
my ($tombstone) = grep { /"cursor":"$epoch-7"/ } split /\n/, $t->ctl_ok('tail', 'orders');
my ($digest) = $tombstone =~ /"digest":"(\w{64})"/;
is($digest, sha256_hex($published[6]), 'its digest is that of the event');
my $shown = $tombstone =~ s/,"digest":"\w+"//r;
like($shown, qr/"erased":true,"feed"/, 'the rest of the tombstone');

for my $who (sort keys %lists) {
    my %text = channels($who);
    for my $channel (sort keys %text) {
        my $wanted = $who eq 'plain' ? $tombstone : $shown;
        $wanted =~ s/"prevcursor":"\K[^"]+/$epoch-5/ if $channel eq 'filtered';
        like($text{$channel}, qr/\Q$wanted\E/, "$who: the tombstone: $channel");
        unlike($text{$channel}, qr/canary-7"|tag-7"|"e7"/, '... and not the event');
        unlike($text{$channel}, qr/$digest|"digest":"\w{64}","feed"/,
            '... nor its digest') if $who ne 'plain';
        like($text{$channel}, qr/"n":8|"tag":"tag-8"|"cursor":"$epoch-8"/,
            '... and the others');
    }
    unlike(get($who, 'snapshot?limit=200'), qr/erased|canary-7"|$digest/,
        "$who: a snapshot has nothing of it");

    # a manifest is over what is sent
    my $manifest = $t->json_get('/v1/feeds/orders/manifest?from=oldest', $key{$who});
    my $chain = "\0" x 32;
    for my $line (grep { /"specversion"/ } split /\n/, $text{backfill}) {
        my ($own) = $line =~ /"erased":true,"digest":"(\w+)"/;
        $chain = sha256($chain . ($own ? pack('H*', $own) : sha256($line)));
    }
    is(unpack('H*', $chain), $manifest->{digest}, "$who: the manifest is over it");

    my $preview = $t->ctl_ok(qw(fields preview), $who, 'orders', "$epoch-7");
    is($preview, ($who eq 'plain' ? $tombstone : $shown) . "\n", "$who: the preview");
}

###############################################################################
# webhooks

my @endpoints;
for my $who (sort keys %lists) {
    my %bodies = (event => {}, batch => { batch => 10 }, thin => { body => 'thin' },
        binary => { body => 'binary' }, data => { body => 'data' });
    for my $body (sort keys %bodies) {
        my ($id) = $t->endpoint($who, url => $recv->url("/$who-$body"),
            feeds => 'orders', start => 'oldest', %{ $bodies{$body} });
        push @endpoints, "/$who-$body";
    }
}
$t->run_dispatcher;

sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub text { my ($path) = @_;
    return join "\n", map { my $r = $_;
        (map { "$_: $r->{headers}{$_}" } sort keys %{ $r->{headers} }), $r->{body} }
        came($path) }

for my $path (@endpoints) {
    my ($who, $body) = $path =~ m{/(\w+)-(\w+)};
    ok(wait_for(sub { came($path) >= ($body eq 'batch' ? 12 : 120) }, 60),
        "$path has all of them") or diag(scalar came($path));
    my $text = text($path);
    unlike($text, qr/canary-7"|tag-7"|"e7"/, '... and not the event');
    unlike($text, qr/$digest/, '... nor its digest') if $who ne 'plain';
    like($text, qr/$digest/, '... with its digest')
        if $who eq 'plain' && $body ne 'data';
    like($text, $body eq 'binary' ? qr/^ce-erased: true$/m : qr/"erased":true/,
        '... and says that it was erased') if $body ne 'data';
}

done_testing();
