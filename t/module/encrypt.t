#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Encrypted fields over HTTP: one ciphertext in every channel, under every
# worker, and nothing in the clear when a key or the store of ciphertexts fails.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
my $json = JSON::PP->new->canonical;
my $store = $t->store_init->feed('orders')->store;
my $dir = $t->testdir;
my %jwk = (kty => 'EC', crv => 'P-256', kid => 'k1',
    x => 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y => '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM');
my $key = $t->partner_key('acme', feeds => '*', scopes => 'read');
my $plain = $t->partner_key('other', feeds => '*', scopes => 'read');

sub jwk {
    $t->write_file('acme.jwk', $json->encode({ %jwk, @_ }));
    $t->ctl_ok('partner', 'change', 'acme', "--encryption-key=$dir/acme.jwk");
}
sub publish {
    my ($from, $to) = @_;
    $t->ctl_ok({ stdin => join '', map { qq({"specversion":"1.0","id":"e$_",)
        . qq("source":"/s","type":"t","subject":"s$_","data":)
        . qq({"n":$_,"mail":"canary-$_"}}\n) } $from .. $to }, 'publish',
        'orders');
}
jwk();
$t->ctl_ok('partner', 'change', 'acme',
    '--fields={"orders":{"encrypt":["/mail"]}}');
publish(1, 100);
my ($epoch) = $t->ctl_ok('tail', 'orders') =~ /"cursor":"(\w+)-1"/;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location /v1/ { eventsync_poll on; eventsync_pages on;
            eventsync_backfill on; eventsync_snapshot on; eventsync_sse on; }
    }
}
CONF
$t->run_nginx;

my %bodies;
sub get {
    my ($path, %headers) = @_;
    my $who = delete $headers{key} // $key;
    my $answer = $t->http(GET => "/v1/feeds/orders/$path",
        { authorization => "Bearer $who", %headers });
    $bodies{$path} = $answer->{body} if $who eq $key;
    return $answer;
}

# The ciphertext of each event's mail, by id.
sub mails {
    my ($text) = @_;
    return { $text =~ /"id":"(\w+)"[^{]*"data":\{"n":\d+,"mail":"(eyJ[\w.-]+)"/g };
}

###############################################################################
# one ciphertext

my $poll = get('events?limit=1000');
is($poll->{status}, 200, 'a poll') or diag($poll->{body});
my $mails = mails($poll->{body});
is(keys %$mails, 100, 'has a ciphertext for each event');
like(get('events?limit=1', key => $plain)->{body}, qr/canary-1"/,
    'another partner is sent the value');

for my $path ("pages/$epoch/1", "events?limit=1000&types=t",
    "backfill?from=oldest", 'snapshot', 'events?limit=1000')
{
    my $answer = get($path);
    is($answer->{status}, 200, "$path is answered") or diag($answer->{body});
    is_deeply(mails($answer->{body}), $mails, '... with the same ciphertexts');
}
is_deeply(mails(get("pages/$epoch/1", 'accept-encoding' => 'identity')->{body}),
    $mails, 'the page again');
my $etag = $poll->{headers}{etag};
for (1 .. 4) {
    is(get('events?limit=1000', 'if-none-match' => $etag)->{status}, 304,
        'the ETag stays');
}

publish(101, 300);
my $backfill = get('backfill?from=oldest');
is(keys %{ mails($backfill->{body}) }, 300, 'a backfill that encrypts on the way');
like($backfill->{body}, qr/"complete":true/, '... to its end');
is_deeply(mails(get('events?limit=1000')->{body}), mails($backfill->{body}),
    '... as the poll after it');

###############################################################################
# who waits

my $wait = $t->http_start(GET => "/v1/feeds/orders/events?after=$epoch-300&wait=20",
    { authorization => "Bearer $key" });
publish(301, 301);
my $waited = $t->http_end($wait);
is(keys %{ mails($waited->{body}) }, 1, 'a long poll is woken with a ciphertext')
    or diag($waited->{body});
is_deeply(mails(get("events?after=$epoch-300")->{body}), mails($waited->{body}),
    '... which is that of a poll');

# A stream, from the beginning and then as events come.
my $sse = Test::Eventsync::Reader->new($t,
    "/v1/feeds/orders/events?after=$epoch-290", $key);
my @events = $sse->events(11);
publish(302, 302);
push @events, $sse->events(1);
my %streamed = map { ($_->{id} => $_->{data}{mail}) } @events;
is_deeply(\%streamed, mails(get("events?after=$epoch-290")->{body}),
    'a stream has the same ciphertexts, also of events that come later');
$sse = undef;

###############################################################################
# nothing falls open

my $before = mails(get('events?limit=1000')->{body});
jwk(kid => 'k2');
isnt(get('events?limit=1000', 'if-none-match' => $etag)->{status}, 304,
    'a new key is another answer');
my $second = mails(get('events?limit=1000')->{body});
is(keys %$second, 302, '... in which all is encrypted again');
my ($id) = keys %$before;
isnt($second->{$id}, $before->{$id}, '... with other ciphertexts');
jwk();
is_deeply(mails(get('events?limit=1000')->{body}), $before,
    'the first key has the first ones');

my @paths = ('events?limit=1000', "events?after=$epoch-0&limit=1&types=t",
    "pages/$epoch/2", 'backfill?from=oldest', 'snapshot',
    "manifest?from=$epoch-0&to=$epoch-100");
sub refused {
    my ($why) = @_;
    for my $path (@paths) {
        my $answer = get($path);
        ok($answer->{status} == 503 && $answer->{body} =~ /field-list/
            || $answer->{status} == 200 && $answer->{body} =~ /^\{"error":.*field-list/,
            "$why: $path is refused") or diag("$answer->{status} $answer->{body}");
    }
    is(get('events?limit=1', key => $plain)->{status}, 200,
        '... and another partner is served');
}

my $record = $t->ctl_ok('partner', 'show', 'acme');
chomp $record;
sub damage {
    my ($text) = @_;
    is(system($t->build . '/helper/damage', "$store/registry", 'objects', 'pacme',
        $text), 0, 'a record is damaged');
    $t->ctl_ok('partner', 'change', 'other', '--feeds=*');
}
for my $case ([ 'no key', sub { s/,"encryption_key":\{.*?\}//r } ],
    [ 'an RSA key', sub { s/"kty":"EC"/"kty":"RSA"/r } ],
    [ 'a point off the curve', sub { s/"y":"[^"]+"/"y":"$jwk{x}"/r } ])
{
    my ($why, $change) = @$case;
    damage($change->()) for $record;
    refused($why);
    damage($record);
    is(get('events?limit=1')->{status}, 200, "$why: mended");
}

# The ciphertexts of a new key cannot be kept.
jwk(kid => 'k3');
$t->stop_nginx;
rename "$store/encrypted", "$store/aside" or die "$store: $!";
{ open my $fh, '>', "$store/encrypted" or die "$store: $!" }
$t->run_nginx;
refused('no place for ciphertexts');
unlink "$store/encrypted";
rename "$store/aside", "$store/encrypted" or die "$store: $!";
is(get('events?limit=1')->{status}, 200, 'it is used as soon as it is there');

my $log = do { open my $fh, '<', "$dir/error.log" or die; local $/; <$fh> };
like($log, qr/cannot encrypt fields of feed "orders" for partner "acme": the partner's key/,
    'the log names feed and partner');
like($log, qr/cannot encrypt fields .*encrypted/, '... and what it cannot open');
unlike($_, qr/canary/, 'no value in the clear') for $log, values %bodies;

done_testing();
