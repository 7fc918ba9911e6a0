#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What the header fields of a request say of its body's bytes is obeyed or
# refused, on every resource that reads a body: nothing is ever stored under
# another meaning than the one that it was sent with.

use warnings;
use strict;

use Digest::SHA qw(sha256_base64 sha512_base64);
use IO::Compress::Deflate qw(deflate);
use IO::Compress::Gzip qw(gzip);
use IO::Compress::RawDeflate qw(rawdeflate);
use JSON::PP;
use MIME::Base64;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('modes')->feed('many');
my $key = $t->master_key;
my $manager = $t->partner_key('acme', feeds => 'modes', scopes => 'read,ack,manage');

$t->write_file('keys', '{"keys":[{"kty":"oct","alg":"HS256","kid":"one","k":"'
    . 'A' x 43 . '"}]}');
chmod 0600, $t->testdir . '/keys';

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_token_keys keys;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_body_temp_path %%TESTDIR%%/body;
        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_checkpoints on;
            eventsync_endpoints on;
            eventsync_token on;
            eventsync_feeds on;
            eventsync_cors https://page.example;
            client_max_body_size 2m;
        }
        location /small/ { eventsync_publish on; client_max_body_size 1k; }
        location /any/ { eventsync_publish on; client_max_body_size 0; }
    }
}
CONF
$t->run_nginx;

my %binary = ('ce-specversion' => '1.0', 'ce-source' => '/b', 'ce-type' => 't');
my ($n, $last) = (0);

sub send_to {
    my ($method, $path, $headers, $body) = @_;
    my %headers = (authorization => "Bearer $key", %$headers);
    my $answer = $t->http($method => $path, \%headers, $body);
    $answer->{json} = Test::Eventsync::json($answer->{body}) // {};
    my $type = ($answer->{json}{type} // '') =~ s/.*://r;
    $answer->{is} = $answer->{status} . ($type && " $type");
    return $answer;
}

sub publish {
    my ($headers, $body, $path) = @_;
    return send_to(POST => $path // '/v1/feeds/modes/events', $headers, $body);
}

sub binary {
    my ($type, $body, %headers) = @_;
    $last = publish({ %binary, 'ce-id' => 'b' . ++$n, 'content-type' => $type,
        %headers }, $body);
    return $last->{is};
}

sub stored { return $t->poll('modes')->{events}[-1] }
sub count { my $feed = $_[0] // 'modes'; return $t->poll($feed)->{latest} =~ s/.*-//r }
sub gz { my ($text) = @_; gzip(\$text => \my $out); return $out }
sub zlib { my ($text) = @_; deflate(\$text => \my $out); return $out }

sub coded {
    my ($coding, $text) = @_;
    return gz($text) if $coding eq 'gzip' || $coding eq 'x-gzip';
    return zlib($text) if $coding eq 'deflate';
    $t->write_file('plain', $text);
    my $encode = $t->build . '/helper/encode';
    my $out = `$encode $coding < @{[ $t->testdir ]}/plain`;
    die "no helper\n" if $?;
    return $out;
}

###############################################################################
# each coding, in every mode

for my $coding (qw(gzip x-gzip deflate zstd br)) {
    my %coded = ('content-encoding' => $coding);

    is(binary('text/plain', coded($coding, 'hello'), %coded), 201,
        "$coding: the data of an event in binary mode");
    is(stored()->{data}, 'hello', "$coding: is stored as the text it is");
    is(stored()->{datacontenttype}, 'text/plain', "$coding: under its type");

    for my $mode ([ 'application/cloudevents+json', sub { $_[0] } ],
        [ 'application/json', sub { $_[0] } ],
        [ 'application/cloudevents-batch+json', sub { "[$_[0]]" } ],
        [ 'application/x-ndjson', sub { "$_[0]\n" } ])
    {
        my ($type, $wrap) = @$mode;
        my $id = 's' . ++$n;
        is(publish({ 'content-type' => $type, %coded },
            coded($coding, $wrap->($t->event(id => $id))))->{is}, 201,
            "$coding: $type");
        is(stored()->{id}, $id, "$coding: is stored");
    }
}

is(binary('text/plain', coded('br', coded('gzip', 'twice')),
    'content-encoding' => 'gzip, BR'), 201, 'two codings, one over the other');
is(stored()->{data}, 'twice', 'are taken off in their order');
{
    my @fields = ('content-encoding' => 'gzip', 'content-encoding' => 'deflate');
    my $answer = $t->http(POST => '/v1/feeds/modes/events', [ %binary,
        'ce-id' => 'fields', 'content-type' => 'text/plain',
        authorization => "Bearer $key", @fields ], zlib(gz('fields')));
    is($answer->{status}, 201, 'in two fields as in one');
    is(stored()->{data}, 'fields', 'in the order of the fields');
}
is(binary('text/plain', 'plain', 'content-encoding' => 'identity'), 201,
    'identity is no coding');
is(stored()->{data}, 'plain', 'and changes nothing');
is(binary('text/plain', 'plain', 'content-encoding' => ''), 201,
    'nor does an empty field');
is(binary('application/octet-stream', gz('file')), 201,
    'a compressed file that says nothing of a coding');
is(decode_base64(stored()->{data_base64}), gz('file'), 'stays as it is');
is(binary('text/plain', gz('a') . gz('b'), 'content-encoding' => 'gzip'), 201,
    'gzip may have several members');
is(stored()->{data}, 'ab', 'and all of them count');

###############################################################################
# what is none of them, or not whole

my $before = count();

for my $coding ('compress', 'gzip, compress', 'aes128gcm', 'gzip gzip', '*',
    'gzip;q=1', 'br, br, br, br')
{
    is(binary('text/plain', 'x', 'content-encoding' => $coding),
        '415 unsupported-encoding', "$coding: refused");
    is($last->{headers}{'accept-encoding'}, 'gzip, deflate, zstd, br',
        "$coding: with what is decoded");
    is_deeply($last->{json}{available}, [ qw(gzip deflate zstd br) ],
        "$coding: for programs, too");
}

for my $coding (qw(gzip deflate zstd br)) {
    my $whole = coded($coding, 'hello, hello, hello, hello');
    my %coded = ('content-encoding' => $coding);
    is(binary('text/plain', substr($whole, 0, -1), %coded), '400 invalid-body',
        "$coding: cut off");
    is($last->{json}{detail}, "Request body: $coding is cut off before "
        . 'its end.', "$coding: which is said");
    is(binary('text/plain', "${whole}x", %coded), '400 invalid-body',
        "$coding: followed by something");
    is($last->{json}{detail}, "Request body: $coding has bytes after its "
        . 'end.', "$coding: which is said");
    is(binary('text/plain', 'hello, this is text', %coded), '400 invalid-body',
        "$coding: not encoded at all");
    is(binary('text/plain', '', %coded), '400 invalid-body',
        "$coding: nothing is not something encoded");
}
{
    my $text = 'hello';
    rawdeflate(\$text => \my $raw);
    is(binary('text/plain', $raw, 'content-encoding' => 'deflate'),
        '400 invalid-body', 'deflate is the zlib format, and no other');
}
is(binary('application/json', gz('{"a":'), 'content-encoding' => 'gzip'),
    '400 invalid-event', 'what is inside is checked as ever');
is(count(), $before, 'nothing of any of these was stored');

###############################################################################
# bounds

my $bomb = gz('x' x (30 << 20));
cmp_ok(length $bomb, '<', 64 << 10, 'a bomb fits into a small body');
is(binary('text/plain', $bomb, 'content-encoding' => 'gzip'), '413 too-large',
    'a bomb ends at the maximum of a body');
like($last->{json}{detail}, qr/after decoding, it has more than 2097152 bytes/,
    'which is said');
is(binary('text/plain', coded('br', $bomb), 'content-encoding' => 'gzip, br'),
    '413 too-large', 'two over each other, too');
is(publish({ 'content-type' => 'application/json', 'content-encoding' => 'gzip' },
    gz($t->event(id => 'small', data => 'x' x 800)), '/small/feeds/modes/events')
    ->{is}, 201, 'what fits decoded is taken');
is(publish({ 'content-type' => 'application/json', 'content-encoding' => 'gzip' },
    gz($t->event(id => 'big', data => 'x' x 1000)), '/small/feeds/modes/events')
    ->{is}, '413 too-large', 'what does not is not, however small it is sent');

my $lines = join '', map { $t->event(id => "m$_", data => { n => $_ }) . "\n" }
    1 .. 9000;
cmp_ok(length $lines, '>', 512 << 10, 'a large body');
is(publish({ 'content-type' => 'application/x-ndjson',
    'content-encoding' => 'zstd' }, coded('zstd', $lines),
    '/v1/feeds/many/events')->{is}, 201, 'is decoded whole');
is(count('many'), 9000, 'every event of it');
is(publish({ 'content-type' => 'application/x-ndjson',
    'content-encoding' => 'gzip' }, gz($lines), '/any/feeds/many/events')
    ->{is}, 201, 'and where a body has no maximum');
is(publish({ 'content-type' => 'text/plain', %binary, 'ce-id' => 'bomb',
    'content-encoding' => 'gzip, gzip' }, gz(gz("\0" x (65 << 20))),
    '/any/feeds/many/events')->{is}, '413 too-large', 'there is one, decoded');

###############################################################################
# every other resource that reads a body

sub json_body {
    my ($method, $path, $doc, %headers) = @_;
    return send_to($method, $path, { 'content-type' => 'application/json',
        authorization => "Bearer $manager", %headers }, $doc);
}

my $cursor = $t->poll('modes')->{latest};
my $consumer = '/v1/feeds/modes/checkpoints/one';
is(json_body(PUT => $consumer, gz(qq({"cursor":"$cursor"})),
    'content-encoding' => 'gzip')->{is}, 201, 'a checkpoint');
is(json_body(GET => $consumer)->{json}{cursor}, $cursor, 'is where it was put');
my $answer = json_body(POST => '/v1/endpoints', coded('br',
    '{"url":"https://a.example/","feeds":["modes"]}'), 'content-encoding' => 'br');
is($answer->{status}, 201, 'an endpoint');
my $path = "/v1/endpoints/$answer->{json}{name}";
is(json_body(PATCH => $path, coded('zstd', '{"rate":"7r/s"}'),
    'content-encoding' => 'zstd')->{status}, 200, 'a change of it');
is(json_body(GET => $path)->{json}{rate}, '7r/s', 'is made');
is(json_body(POST => "$path/rotate", zlib('{"overlap":"1h"}'),
    'content-encoding' => 'deflate')->{status}, 200, 'an action');
is(json_body(POST => "$path/pause", undef, 'content-encoding' => 'gzip',
    'content-type' => undef)->{status}, 200,
    'an action without a body has nothing to decode');

my ($id) = $key =~ /^esk_([a-z2-7]{10})/;
my $form = "grant_type=client_credentials&client_id=$id&client_secret=$key";
my %form = ('content-type' => 'application/x-www-form-urlencoded',
    authorization => undef);
is(send_to(POST => '/v1/token', { %form, 'content-encoding' => 'gzip' },
    gz($form))->{json}{token_type}, 'Bearer', 'a token');
is(send_to(POST => '/v1/token', { %form, 'content-encoding' => 'gzip' },
    substr(gz($form), 0, -1))->{json}{error}, 'invalid_request',
    'whose errors are those of OAuth');
is(send_to(POST => '/v1/token', { %form, 'content-encoding' => 'zip' },
    gz($form))->{is}, '415 unsupported-encoding', 'where it has one');

for my $case ([ PUT => $consumer, qq({"cursor":"$cursor"}) ],
    [ POST => '/v1/endpoints', '{"url":"https://a.example/","feeds":["modes"]}' ],
    [ PATCH => $path, '{"rate":"8r/s"}' ],
    [ POST => "$path/rotate", '{"overlap":"2h"}' ])
{
    my ($method, $at, $doc) = @$case;
    my $answer = json_body($method, $at, gz($doc), 'content-encoding' => 'lzma');
    is($answer->{is}, '415 unsupported-encoding', "$method $at: refused");
    is($answer->{headers}{'accept-encoding'}, 'gzip, deflate, zstd, br',
        "$method $at: with what is decoded");
    is(json_body($method, $at, $doc, 'content-encoding' => 'gzip')->{is},
        '400 invalid-body', "$method $at: not encoded");
    is(json_body($method, $at, gz($doc . ' ' x (1 << 17)),
        'content-encoding' => 'gzip')->{is}, '413 too-large',
        "$method $at: a small bomb");
    is(json_body($method, $at, $doc, 'content-range' => 'bytes 0-5/10')->{is},
        '400 invalid-header', "$method $at: a part is not the whole");
    is(json_body($method, $at, $doc,
        'content-digest' => 'sha-256=:' . 'A' x 43 . '=:')->{is},
        '400 digest-mismatch', "$method $at: another digest");
    is(json_body($method, $at, $doc,
        'content-type' => 'application/json; charset=iso-8859-1')->{is},
        '415 unsupported-media-type', "$method $at: another charset");
    is(json_body($method, $at, $doc,
        'content-type' => 'application/json-patch+json')->{is},
        '415 unsupported-media-type', "$method $at: another kind of JSON");
}
is(json_body(GET => $path)->{json}{rate}, '7r/s', 'none of it was done');
for my $at ($path, $consumer, '/v1/feeds/modes/events', '/v1/feeds') {
    is(send_to(GET => $at, { authorization => "Bearer $manager",
        'content-encoding' => 'rot13', 'content-range' => 'bytes 0-1/2' })
        ->{is}, 200, "$at: a request without a body has nothing to be checked");
}

###############################################################################
# Content-Range, digests, and fields that say one thing twice

$before = count();
is(binary('text/plain', 'part', 'content-range' => 'bytes 0-3/10'),
    '400 invalid-header', 'a part of an event is not an event');
is($last->{json}{header}, 'content-range', 'which is said');

is(binary('text/plain', 'cGFydA==', 'content-transfer-encoding' => 'base64'),
    '400 invalid-header', 'nor is what a MIME coding stands for');
is($last->{json}{header}, 'content-transfer-encoding', 'which is said as well');
is(count(), $before, 'neither is stored');
is(binary('text/plain', 'plain', 'content-transfer-encoding' => '8Bit'), 201,
    'a MIME coding that changes nothing is none');
$before = count();

my $text = 'some text';
my ($sha256, $sha512) = (sha256_base64($text) . '=', sha512_base64($text) . '==');
for my $field (qw(Content-Digest Repr-Digest)) {
    is(binary('text/plain', $text, $field => "sha-256=:$sha256:"), 201,
        "$field: the right one");
    is(binary('text/plain', $text, $field => "sha-512=:$sha512:, md5=:AAAA:"),
        201, "$field: of several, those that are known");
    is(binary('text/plain', $text, $field => "sha-512=:$sha512:, "
        . 'sha-256=:' . 'A' x 43 . '=:'), '400 digest-mismatch',
        "$field: one that is another's");
    is(binary('text/plain', 'x' x 40000, $field => "sha-256=:$sha256:"),
        '400 digest-mismatch', "$field: of a large body");
    is(binary('text/plain', $text, $field => "sha-256=$sha256"),
        '400 invalid-header', "$field: malformed");
    is($last->{json}{header}, lc $field, "$field: which is said");
}
my $zipped = gz($text);
is(binary('text/plain', $zipped, 'content-encoding' => 'gzip',
    'content-digest' => 'sha-256=:' . sha256_base64($zipped) . '=:'), 201,
    'a digest is of the bytes that were sent');
is(stored()->{data}, $text, 'and what they mean is stored');
is(binary('text/plain', $zipped, 'content-encoding' => 'gzip',
    'repr-digest' => "sha-256=:$sha256:"), '400 digest-mismatch',
    'not of those that they are decoded to');
is(binary('text/plain', $text, 'content-md5' => 'AAAA', digest => 'sha-256=A',
    'content-language' => 'de', 'content-location' => '/elsewhere'), 201,
    'older fields, and those that say nothing of the bytes, are passed over');
is(count(), $before + 6, 'so many were right');

$before = count();
for my $types ([ 'text/plain', 'application/json' ],
    [ 'text/plain', 'text/plain' ])
{
    my $answer = $t->http(POST => '/v1/feeds/modes/events', [ %binary,
        'ce-id' => 'twice', authorization => "Bearer $key",
        map { ('content-type' => $_) } @$types ], '{}');
    is($answer->{status}, 400, "two types: @$types");
}
{
    my $answer = $t->http(POST => '/v1/feeds/modes/events', [ %binary,
        'ce-id' => 'twice', 'CE-ID' => 'other', authorization => "Bearer $key",
        'content-type' => 'text/plain' ], 'x');
    is($answer->{status}, 400, 'an attribute that is there twice');
    like($answer->{body}, qr/"pointer":"\/id"/, 'is named');
    $answer = $t->http(POST => '/v1/feeds/modes/events', [ %binary,
        'ce-id' => 'twice', 'ce-ext' => 'a', 'Ce-Ext' => 'a',
        authorization => "Bearer $key", 'content-type' => 'text/plain' ], 'x');
    is($answer->{status}, 400, 'and so is an extension');
}
is(binary('text/plain', 'x', 'ce-datacontenttype' => 'text/plain'),
    '400 invalid-event', 'the type of the data is told in one place');
is($last->{json}{pointer}, '/datacontenttype', 'which is said');
is(count(), $before, 'nothing of these was stored');

###############################################################################
# what a content type says of the bytes

my $latin = "caf\xe9 \xc3\xa9";
for my $type ('text/plain; charset=iso-8859-1', 'text/plain;charset="UTF-16"',
    'application/xml; a=b; Charset=windows-1252')
{
    is(binary($type, "\xc3\xa9"), 201, "$type: valid UTF-8 by chance");
    is(decode_base64(stored()->{data_base64} // ''), "\xc3\xa9",
        "$type: is not taken for it");
    is(stored()->{datacontenttype}, $type, "$type: its type is kept");
}
for my $type ('text/plain; charset=utf-8', 'text/plain;charset="US-ASCII"',
    'text/plain; format=flowed')
{
    is(binary($type, "\xc3\xa9"), 201, $type);
    is(stored()->{data}, "\x{e9}", "$type: is text");
}
is(binary('text/plain', "\xe9"), 201, 'bytes that are no UTF-8');
is(decode_base64(stored()->{data_base64}), "\xe9", 'are kept as bytes');
is(binary('multipart/form-data; boundary=x', "--x\r\n\r\na\r\n--x--\r\n"), 201,
    'multipart data');
is(stored()->{datacontenttype}, 'multipart/form-data; boundary=x',
    'keeps its boundary');
is(decode_base64(stored()->{data_base64}), "--x\r\n\r\na\r\n--x--\r\n",
    'and its parts');

$before = count();
is(binary('application/json; charset=utf-16', '{}'), '400 invalid-event',
    'JSON is UTF-8');
is($last->{json}{pointer}, '/datacontenttype', 'and the type is wrong');
for my $type (qw(application/json application/cloudevents+json application/x-ndjson
    application/cloudevents-batch+json))
{
    is(publish({ 'content-type' => "$type; charset=iso-8859-1" },
        $t->event(id => 'latin'))->{is}, '415 unsupported-media-type',
        "$type: in no other charset");
}
for my $type (qw(application/cloudevents+avro application/cloudevents+xml
    application/cloudevents-batch+protobuf application/cloudevents))
{
    is(binary($type, 'x'), '415 unsupported-media-type',
        "$type: an event in another format is not the data of one");
}
is(publish({ 'content-type' => 'application/json x' }, $t->event(id => 'type'))
    ->{is}, '415 unsupported-media-type', 'a type that only begins so');
is(publish({ 'content-type' => 'multipart/form-data; boundary=x' },
    "--x--\r\n")->{is}, '415 unsupported-media-type', 'parts are no event');
is(count(), $before, 'nothing of these was stored');

###############################################################################
# values of ce- headers: unquoted, then percent-decoded, once

for my $case ([ 'a%20b', 'a b' ], [ '"a b"', 'a b' ], [ '"a\\"b\\\\c"', 'a"b\\c' ],
    [ '"caf%C3%A9"', "caf\x{e9}" ], [ '%2520', '%20' ], [ '%22a%22', '"a"' ],
    [ 'a"b"', 'a"b"' ], [ '%e2%82%ac+%f0%9f%98%80', "\x{20ac}+\x{1f600}" ])
{
    my ($value, $is) = @$case;
    is(binary('text/plain', 'x', 'ce-subject' => $value), 201, "$value: taken");
    is(stored()->{subject}, $is, "$value: decoded");
}
$before = count();
for my $value ('"a', '"a" b', '"a\\', '"a"b"', '%E9', '%c3%28', '%4', '""') {
    is(binary('text/plain', 'x', 'ce-subject' => $value), '400 invalid-event',
        "$value: refused");
    is($last->{json}{pointer}, '/subject', "$value: which is said");
}

###############################################################################
# the length of a body

sub raw {
    my ($head, $body, $half) = @_;
    my $sock = $t->socket;
    $t->send_all($sock, "POST /v1/feeds/modes/events HTTP/1.1\r\nHost: x\r\n"
        . "Authorization: Bearer $key\r\nConnection: close\r\n"
        . join('', map { "$_: $binary{$_}\r\n" } sort keys %binary)
        . "ce-id: raw\r\nContent-Type: text/plain\r\n$head\r\n$body");
    shutdown $sock, 1 if $half;
    local $/;
    my $answer = <$sock> // '';
    return ($answer =~ m{^HTTP/1.1 (\d+)})[0] // 'none';
}

like(raw("Content-Length: 10\r\n", 'short', 1), qr/^(?:400|none)$/,
    'less than Content-Length says');
like(raw("Transfer-Encoding: chunked\r\n", "5\r\nshort\r\n", 1),
    qr/^(?:400|none)$/, 'chunks without an end');
is(raw("Transfer-Encoding: chunked\r\n", "5\r\nshort\r\nzz\r\n"), 400,
    'malformed chunks');
is(raw("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "5\r\nshort\r\n0\r\n\r\n"), 400, 'two lengths');
like(raw("Content-Length: 5\r\nContent-Length: 6\r\n", 'short'), qr/^400$/,
    'two other lengths');
like(raw("Transfer-Encoding: gzip, chunked\r\n", "5\r\nshort\r\n0\r\n\r\n"),
    qr/^(?:400|501)$/, 'a transfer coding that is unknown');
is(count(), $before, 'nothing of these was stored');
is(raw("Transfer-Encoding: chunked\r\n", "2\r\nsh\r\n3;a=b\r\nort\r\n0\r\n\r\n"),
    201, 'chunks that are whole');
is(stored()->{data}, 'short', 'are');

###############################################################################
# before the body is sent; browsers

{
    my $sock = $t->socket;
    $t->send_all($sock, "POST /v1/feeds/modes/events HTTP/1.1\r\nHost: x\r\n"
        . "Authorization: Bearer $key\r\nConnection: close\r\n"
        . "Expect: 100-continue\r\nContent-Type: application/json\r\n"
        . "Content-Encoding: rot13\r\nContent-Length: 1000\r\n\r\n");
    my $call = { sock => $sock, buf => '' };
    my $head = '';
    $head = Test::Eventsync::read_until($call, "\r\n\r\n", time + 20) // 'none'
        while $head eq '' || $head =~ m{^HTTP/1.1 100 };
    like($head, qr{^HTTP/1.1 415 }, 'a coding is refused before its body is sent');
}
{
    my $answer = $t->http(OPTIONS => '/v1/feeds/modes/events', {
        origin => 'https://page.example',
        'access-control-request-method' => 'POST' });
    like($answer->{headers}{'access-control-allow-headers'}, qr/\b$_\b/,
        "a page may send $_") for qw(Content-Encoding Content-Digest Repr-Digest);
    $answer = $t->http(POST => '/v1/feeds/modes/events', { authorization =>
        "Bearer $key", origin => 'https://page.example', 'content-type' =>
        'application/json', 'content-encoding' => 'x' }, '{}');
    like($answer->{headers}{'access-control-expose-headers'},
        qr/\bAccept-Encoding\b/, 'and see what is decoded');
}

done_testing();
