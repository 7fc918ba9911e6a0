# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Mutate;

# Requests for a fuzzer: they begin as seeds and are changed at random, in the
# parts that HTTP has (method, path, query, header fields, body) or in any byte.
# All randomness is rand(), so that srand() repeats a run.
#
# A seed is the text of a request.  A seed without a CR has its lines end in
# CR LF.  {NAME} stands for a value that is known when the test runs.

use warnings;
use strict;

use Compress::Zlib ();

# Bytes that some parser treats as special.
my @BYTES = ("\0", "\t", "\n", "\r", "\r\n", "\r\n\r\n", ' ', '!', '"', '#',
    '%', '&', "'", '*', '+', ',', '-', '.', '/', ':', ';', '<', '=', '>', '?',
    '@', '[', '\\', ']', '`', '{', '|', '}', '~', "\x7f", "\x80", "\xc3\xa9",
    "\xe2\x80\xa8", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\xff", 'A', '0', '9');

my @SEGMENTS = ('..', '.', '', '%2e%2e', '%2E', '%2f', '%5c', '%00', '%0d%0a',
    '%0d%0aX-Injected:%20yes', '%0d%0a%0d%0a<html>', '%7f', '%c0%af', '%ff',
    '%C3%A9', '%', '%4', '%zz', '%22%3e', '">', '<zq>', ';a=b', '*', '~', '$a',
    'feeds', 'events', 'orders', 'paged', 'secret', 'none', 'pages', '1', '0',
    '-1', '18446744073709551615', 'endpoints', 'event-types', 'order.updated',
    '1.0.0', 'checkpoints', 'a', 'authorize', 'openapi.json', 'healthz', 'v1',
    'shared', 'x' x 64, 'x' x 255, 'x' x 900);

my @NAMES = ((qw(after from to limit wait types subject page tombstones
    lastEventId)) x 3, qw(AFTER limit[] %6cimit limit%00 zq access_token));

my @VALUES = ('', '0', '1', '-1', '00', '1000', '1001', '4294967296',
    '18446744073709551616', '1e3', '0x1', '1.5', 'oldest', 'latest', 'now',
    '{EPOCH}-0', '{EPOCH}-3', '{EPOCH}-99', '{EPOCH}-00', '{EPOCH}-',
    '{EPOCH}--1', 'zzzz-1', '-1', '2026-01-01T00:00:00Z', '2099-01-01T00:00:00Z',
    '2026-01-01T00:00:00%2b01:00', '2026-01-01T00:00:00+01:00', '9999-99-99',
    'order.*', '*', 'a,b', 'a,,b', ',', 'a*b', 'order.updated', '%2a', '%00',
    '%0d%0aX-Injected:%20yes', '%22%3e', '"><zq>', '%ff', '%c3%a9', '%zz', '%',
    '+', '%2b', '&', '=', 'x' x 1025, 'a,' x 40, '{TOKEN}');

my @FIELDS = (
    ['Accept', 'application/json', 'application/x-ndjson', 'text/event-stream',
        'application/cloudevents-batch+json', 'text/plain', '*/*', '*/*;q=0',
        'application/json;q=0.1, text/event-stream;q=0.1', ',,,', ';', 'a/b/c',
        'application/json;q=2', 'application/json; charset="\\""', ('a/b,' x 60)],
    ['Accept-Encoding', 'gzip', 'zstd', 'br', 'identity;q=0', '*;q=0', 'gzip, br',
        'zstd;q=0.5,gzip;q=0.5', 'gzip;q=', '*', ('gzip,' x 40)],
    ['Authorization', 'Bearer {KEY}', 'bearer {READ}', 'Bearer {ADMIN}', 'Bearer',
        'Bearer ', 'Bearer x', 'Bearer {KEY}x', 'Bearer esk_aaaaaaaaaa_', 'Basic eA==',
        'Bearer {JWT}', 'Bearer a.b.c', 'Bearer ..', ('Bearer ' . 'a' x 3000),
        'Bearer {KEY}, Bearer {READ}', 'Basic {BASIC}'],
    ['Content-Type', 'application/json', 'application/cloudevents+json',
        'application/cloudevents-batch+json', 'application/x-ndjson',
        'application/json; charset=utf-8', 'application/json; charset=latin1',
        'application/json;', 'text/plain', 'multipart/form-data; boundary=x',
        'application/x-www-form-urlencoded', 'application/json;charset="utf-8',
        'application/json;a=b;charset=utf-8', '/', ''],
    ['Content-Encoding', 'gzip', 'deflate', 'zstd', 'br', 'identity',
        'gzip, gzip', 'x', '', 'gzip,'],
    ['Content-Length', '0', '1', '5', '-1', '+5', '00', '0x5', '99999999999999999999',
        '1048577', '5, 5', ' ', ''],
    ['Transfer-Encoding', 'chunked', 'identity', 'gzip, chunked', 'chunked, chunked',
        'Chunked', 'xchunked', ''],
    ['Content-Digest', 'sha-256=:AAAA:', 'sha-256=::', 'sha-256=x', 'md5=:AAAA:',
        'sha-256=:' . 'A' x 43 . '=:', 'sha-512=:AAAA:, sha-256=:AAAA:', ','],
    ['Repr-Digest', 'sha-256=:' . 'A' x 43 . '=:', 'sha-256', ''],
    ['Expect', '100-continue', 'x'],
    ['If-Match', '*', '"x"', 'W/"x"', '"a", "b"', '"', ',', 'x', '{ETAG}'],
    ['If-None-Match', '*', '"x"', 'W/"x"', '"a", "b"', '"', ',', 'x', '{ETAG}',
        '"a",' x 60, '"\\""'],
    ['If-Modified-Since', 'Mon, 30 Nov 2026 00:00:00 GMT', 'x'],
    ['Range', 'bytes=0-0', 'bytes=-1', 'bytes=5-', 'bytes=9999999-', 'bytes=1-0',
        'bytes=0-0,2-3', 'bytes=', 'x', 'bytes=18446744073709551615-'],
    ['If-Range', '"x"', '{ETAG}'],
    ['Last-Event-ID', '{EPOCH}-2', 'x', '', '{EPOCH}-99', "\xff", 'zq">zq'],
    ['Origin', 'https://a.example', 'null', 'https://b.example', 'x', ''],
    ['Access-Control-Request-Method', 'GET', 'POST', 'x', '"'],
    ['Access-Control-Request-Headers', 'authorization', 'a,b', 'ce-x', '"><zq>',
        ',' x 20, 'x' x 300],
    ['Host', 'localhost', 'a b', '', 'x:99999', '[::1]', "zq\">", 'a/b'],
    ['Connection', 'close', 'keep-alive', 'upgrade', 'authorization', 'x'],
    ['Upgrade', 'h2c', 'websocket'],
    ['Prefer', 'handling=lenient', 'handling=strict', 'x', 'wait=10', ''],
    ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x'],
    ['ce-id', 'x', '', 'a%22b', "\xff", '%c3%a9', '%', 'a.b', 'x' x 300],
    ['ce-type', 'order.updated', '', '%20', 'x' x 300],
    ['ce-source', '/s', '', '%zz', ' '],
    ['ce-specversion', '1.0', '0.3', ''],
    ['ce-time', '2026-01-01T00:00:00Z', 'x'],
    ['ce-subject', 's', '%22', '"'],
    ['ce-dataschema', 'x:/order.updated/1.0.0', 'x'],
    ['ce-zq', 'x', '%00', '%0a'],
    ['Cookie', 'a=b'], ['X-Forwarded-For', '1.2.3.4'], ['Via', '1.1 a'],
    ['User-Agent', "zq\x1b[31m"], ['Trailer', 'x'], ['TE', 'trailers'],
    ['zq', 'zq">zq'], ['z q', 'x'], ['zq', "a\r\n b"], ['', 'x'], ['a_b', 'x'],
);

my @TEXTS = ('null', 'true', '0', '-0', '1e400', '18446744073709551616', '""',
    '"\\u0000"', '"\\ud800"', '"a\\u000d\\u000aX-Injected: yes"', "\"\xff\"",
    '[]', '{}', '{"a":1,"a":2}', '[' x 70, '{"a":' x 70, '"' . 'x' x 3000 . '"',
    '"https://a.example/"', '["orders"]', '["*"]', '"{EPOCH}-1"', '"10s"',
    '"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"', '""">');

my @METHODS = qw(GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND
    get GETX G-T);

sub pick { return $_[rand @_] }

# ---- the parts of a request ----

# The text of a seed with its values; `known` maps their names.
sub expand {
    my ($text, $known) = @_;
    $text =~ s/\{([A-Z]+)\}/$known->{$1} \/\/ "{$1}"/ge;
    return $text;
}

# The text of a request as a seed again.
sub collapse {
    my ($text, $known) = @_;

    for my $name (sort { length $known->{$b} <=> length $known->{$a} }
        grep { length $known->{$_} > 3 } sort keys %$known)
    {
        $text =~ s/\Q$known->{$name}\E/{$name}/g;
    }
    return $text;
}

# A text that is hardly a request any more has an empty method.
sub parse {
    my ($text) = @_;

    $text =~ s/(?<!\r)\n/\r\n/g unless $text =~ /\r/;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($line, @fields) = split /\r\n/, $head // '';
    my ($method, $target, $version) = split / /, $line // '', 3;

    return { method => $method // '', target => $target // '',
        version => $version // '', body => $body // '',
        fields => [ map { [ split /: ?/, $_, 2 ] } @fields ] };
}

sub text {
    my ($r) = @_;
    return join "\r\n",
        join(' ', $r->{method}, $r->{target}, $r->{version} || ()),
        (map { $_->[0] . ': ' . ($_->[1] // '') } @{ $r->{fields} }), '',
        $r->{body};
}

# The request of a seed as it is, with the length that the body has then.
sub request {
    my ($seed, $known) = @_;
    my $r = parse(expand($seed, $known));

    set($r, 'Content-Length', length $r->{body})
        if grep { lc $_->[0] eq 'content-length' } @{ $r->{fields} };
    return text($r);
}

sub set {
    my ($r, $name, $value) = @_;
    @{ $r->{fields} } = grep { lc $_->[0] ne lc $name } @{ $r->{fields} };
    push @{ $r->{fields} }, [ $name, $value ] if defined $value;
}

# ---- changes ----

# Changes some bytes of a text.
sub bytes {
    my ($text) = @_;
    my $at = int rand 1 + length $text;
    my $n = int rand pick(2, 4, 16, 64);
    my $how = int rand 6;

    if ($how == 0) {
        substr $text, $at, 0, pick(@BYTES);
    } elsif ($how == 1) {
        substr $text, $at, $n, '';
    } elsif ($how == 2) {
        my $part = substr $text, $at, $n;
        substr $text, int rand 1 + length $text, 0, $part x pick(1, 2, 9);
    } elsif ($how == 3 && $at < length $text) {
        substr $text, $at, 1, chr(ord(substr $text, $at, 1) ^ 1 << rand 8);
    } elsif ($how == 4 && $at < length $text) {
        substr $text, $at, 1, sprintf '%%%02x', ord substr $text, $at, 1;
    } else {
        substr $text, $at, $n, pick(@BYTES) x $n;
    }
    return $text;
}

sub change_path {
    my ($r) = @_;
    my ($path, $query) = split /\?/, $r->{target}, 2;
    my @parts = split m{/}, $path, -1;
    my $at = int rand @parts + 1;
    my $how = int rand 6;

    splice @parts, $at, 0, pick(@SEGMENTS) if $how == 0;
    splice @parts, $at, 1, pick(@SEGMENTS) if $how == 1;
    splice @parts, $at, 1 if $how == 2;
    $parts[$at] = bytes($parts[$at] // '') if $how == 3;
    $parts[$at] = ($parts[$at] // '') . pick(@SEGMENTS) if $how == 4;
    @parts = map { pick(0, 1) ? uc : $_ } @parts if $how == 5;

    $r->{target} = join('/', map { $_ // '' } @parts)
        . (defined $query ? "?$query" : '');
}

sub change_query {
    my ($r) = @_;
    my ($path, $query) = split /\?/, $r->{target}, 2;
    my @pairs = split /&/, $query // '';
    my $at = int rand @pairs + 1;
    my $how = int rand 8;

    if ($how < 4 && ($pairs[$at] // '') =~ /^([^=]*=)/) {
        $pairs[$at] = $1 . pick(@VALUES);
    } elsif ($how < 5) {
        splice @pairs, $at, 0, pick(@NAMES) . '=' . pick(@VALUES);
    } elsif ($how == 5) {
        splice @pairs, $at, 1, pick(@NAMES) . pick('', '=', '==', '=a=b');
    } elsif ($how == 6) {
        $pairs[$at] = bytes($pairs[$at] // '');
    } else {
        push @pairs, @pairs;
    }

    $r->{target} = "$path?" . join '&', map { $_ // '' } @pairs;
}

sub change_fields {
    my ($r) = @_;
    my $fields = $r->{fields};
    my ($name, @values) = @{ pick(@FIELDS) };
    my $at = int rand @$fields + 1;
    my $how = int rand 8;

    if ($how < 3) {
        set($r, $name, pick(@values));
    } elsif ($how == 3) {
        splice @$fields, $at, 0, [ $name, pick(@values) ];
    } elsif (@$fields == 0 || $at == @$fields) {
        push @$fields, map { [ @$_ ] } @$fields;
    } elsif ($how == 4) {
        splice @$fields, $at, 1;
    } elsif ($how == 5) {
        $fields->[$at][1] = bytes($fields->[$at][1] // '');
    } elsif ($how == 6) {
        $fields->[$at][0] = bytes($fields->[$at][0]);
    } else {
        $fields->[$at][0] = pick(lc $fields->[$at][0], uc $fields->[$at][0]);
    }
}

# A value of JSON is replaced by another, or some bytes are.
sub change_body {
    my ($r) = @_;
    my @values;

    push @values, [ $-[1], $+[1] - $-[1] ] while $r->{body}
        =~ /[:\[,]\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\{\}|\[\]|true|false|null)/g;

    if (@values && rand 3 > 1) {
        my ($at, $n) = @{ pick(@values) };
        substr $r->{body}, $at, $n, pick(@TEXTS);
    } elsif (rand 4 > 1) {
        $r->{body} = bytes($r->{body});
    } else {
        $r->{body} = pick('', @TEXTS, $r->{body} x 2, "$r->{body}\n$r->{body}");
    }
}

# The body is sent in chunks or in a coding.
sub change_framing {
    my ($r) = @_;

    if (rand 2 < 1) {
        my $body = $r->{body};
        set($r, 'Content-Encoding', pick('gzip', 'gzip', 'deflate', 'zstd'));
        $r->{body} = rand 2 < 1 ? Compress::Zlib::memGzip($body)
            : Compress::Zlib::compress($body);
        $r->{body} = bytes($r->{body}) if rand 3 < 1;
        return;
    }

    my $body = '';
    for (my $at = 0; $at < length $r->{body}; ) {
        my $part = substr $r->{body}, $at, 1 + rand 40;
        $body .= sprintf "%x%s\r\n%s\r\n", length $part,
            pick('', '', '', ';a=b', ';"'), $part;
        $at += length $part;
    }
    $r->{body} = $body . pick('0', '0', '00', '') . "\r\n"
        . pick('', '', "zq: zq\r\n") . "\r\n";
    set($r, 'Transfer-Encoding', 'chunked');
    set($r, 'Content-Length', undef);
}

my @CHANGES = (\&change_path, \&change_query, \&change_query, \&change_fields,
    \&change_fields, \&change_fields, \&change_body, \&change_body,
    sub { $_[0]{method} = pick(@METHODS) });

# A new text from that of one seed, and sometimes from parts of another.
sub mutate {
    my ($text, $other, $known) = @_;
    my $r = parse($text);

    if (rand 12 < 1) {
        my $from = parse($other);
        my $part = pick(qw(target fields body));
        $r->{$part} = $from->{$part};
    }

    pick(@CHANGES)->($r) for 1 .. pick(1, 1, 1, 2, 2, 3, 5);
    change_framing($r) if length $r->{body} && rand 12 < 1;

    # mostly the length that the body has, or the server would wait for more
    set($r, 'Content-Length', length $r->{body})
        if length $r->{body} && rand 12 > 1
        && !grep { lc $_->[0] eq 'transfer-encoding' } @{ $r->{fields} };

    my $new = expand(text($r), $known);
    $new = bytes($new) for 1 .. (rand 10 < 1 ? pick(1, 1, 2, 4) : 0);
    return $new;
}

# True if there can be no doubt where the request ends, and that it is one.
sub framed {
    my ($text) = @_;
    my ($line, $fields, $body) = $text =~ m{\A
        ([A-Z]+\ /[\x21-\x7e]*\ HTTP/1\.1)\r\n
        ((?:[A-Za-z0-9-]+:[\t\x20-\x7e]*\r\n)*)\r\n(.*)\z}xs or return 0;
    my @lengths = $fields =~ /^content-length:[ \t]*(.*?)[ \t]*\r$/gmi;

    return 0 if $fields =~ /^(?:transfer-encoding|upgrade):/mi || @lengths > 1;
    return 0 unless $fields =~ /^host: *[a-z]+\r$/mi;
    return 0 if $line =~ /^(?:CONNECT|TRACE) /;
    return length $body == 0 unless @lengths;
    return $lengths[0] =~ /^(?:0|[1-9]\d{0,6})$/ && $lengths[0] == length $body;
}

1;
