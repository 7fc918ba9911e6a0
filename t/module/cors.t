#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# OPTIONS, and what a browser asks for a page of another origin.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_cors https://a.example https://b.example:8443;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_feeds on;
            client_max_body_size 1k;
        }
        location /any/ { eventsync_poll on; eventsync_cors *; }
        location /off/ { eventsync_poll on; eventsync_cors off; }
    }
}
CONF
$t->run_nginx;

my $events = 'feeds/orders/events';
my $a = 'https://a.example';

sub request {
    my ($method, $path, %headers) = @_;
    my $body = delete $headers{body};
    return $t->http($method => $path, { %headers }, $body);
}

sub cors {
    my ($answer) = @_;
    return { map { /^access-control-(.*)/ ? ($1 => $answer->{headers}{$_}) : () }
        keys %{ $answer->{headers} } };
}

sub preflight {
    my ($path, $origin, %headers) = @_;
    return request(OPTIONS => $path, origin => $origin,
        'access-control-request-method' => 'GET', %headers);
}

my @credential = (authorization => "Bearer $key");

###############################################################################
# OPTIONS without a browser

for my $case ([ "/v1/$events", 'GET, HEAD, POST, OPTIONS' ],
    [ "/off/$events", 'GET, HEAD, OPTIONS' ],
    [ '/v1/feeds', 'GET, HEAD, OPTIONS' ],
    [ '/v1/feeds/none', 'GET, HEAD, OPTIONS' ])
{
    my ($path, $methods) = @$case;
    my $answer = request(OPTIONS => $path);
    is($answer->{status}, 204, "options of $path");
    is($answer->{headers}{allow}, $methods, 'says the methods');
    is($answer->{body}, '', 'no body');
    is($answer->{headers}{'content-length'}, undef, 'nor its length');
    is_deeply(cors($answer), {}, 'nothing that only browsers ask for');
}
is(request(OPTIONS => '/v1/nothing', origin => $a)->{status}, 404,
    'options of no resource');
is(request(OPTIONS => "/off/feeds")->{status}, 404, 'nor of one that is off');

my $sock = $t->socket;
for (1, 2) {
    is($t->http(OPTIONS => "/v1/$events", {}, 'GET / HTTP/1.0', socket => $sock)
        ->{status}, 204, 'a body does no harm');
}
close $sock;

###############################################################################
# preflights

my %allowed = ('allow-origin' => $a, 'allow-credentials' => 'true',
    'allow-methods' => 'GET, HEAD, POST, OPTIONS', 'max-age' => 7200);

my $answer = preflight("/v1/$events", $a,
    'access-control-request-headers' => 'authorization');
is($answer->{status}, 204, 'preflight: 204 without a credential');
my $cors = cors($answer);
my %headers = map { lc($_) => 1 } split /, /, delete $cors->{'allow-headers'};
is_deeply($cors, \%allowed, 'preflight');
ok($headers{$_}, "preflight: $_ may be sent") for 'authorization',
    'content-type', 'if-none-match', 'last-event-id', 'ce-id', 'traceparent';
is($answer->{headers}{vary}, 'Origin', 'preflight: vary');

# Header names that a page may send, and what it asks for.
sub allowed_headers {
    my ($asked) = @_;
    return map { $_ => 1 } split /, /, cors(preflight("/v1/$events", $a,
        'access-control-request-headers' => $asked))->{'allow-headers'};
}

%headers = allowed_headers('authorization,ce-comexample1, ce-tenant-id ,'
    . 'ce-id,ce-,ce-Upper,ce-a b,ce-a_b,x-ce-x,x-other');
ok($headers{$_}, "preflight: the extension $_ may be sent")
    for 'ce-comexample1', 'ce-tenant-id';
ok(!$headers{$_}, "preflight: '$_' may not")
    for 'ce-', 'ce-Upper', 'ce-a b', 'ce-a_b', 'x-ce-x', 'x-other';
ok($headers{Authorization}, 'preflight: nor is another lost');

my %fixed = allowed_headers('');
%headers = allowed_headers(join ',', map { "ce-ext$_" } 1 .. 400);
ok($headers{'ce-ext1'} && !$headers{'ce-ext400'},
    'preflight: of very many not all');
cmp_ok(length(join ', ', keys %headers), '<=',
    1024 + length(join ', ', keys %fixed), 'preflight: the answer is bounded');

is(cors(preflight("/v1/$events", 'https://b.example:8443'))->{'allow-origin'},
    'https://b.example:8443', 'preflight: another that is allowed');

for my $origin ('https://c.example', 'https://A.example', 'http://a.example',
    'https://a.example:443', 'https://a.example.evil', 'https://a.exampl',
    'null', '*', '')
{
    $answer = preflight("/v1/$events", $origin);
    is($answer->{status}, 204, "preflight from '$origin'");
    is_deeply(cors($answer), {}, 'is not allowed');
    is($answer->{headers}{vary}, 'Origin', 'vary');
}

$answer = preflight("/any/$events", 'null');
$cors = cors($answer);
delete $cors->{'allow-headers'};
is_deeply($cors, { 'allow-origin' => '*', 'max-age' => 7200,
    'allow-methods' => 'GET, HEAD, OPTIONS' },
    'preflight: any origin, and never with credentials');
is($answer->{headers}{vary}, undef, 'preflight: the same for all');

is_deeply(cors(preflight("/off/$events", $a)), {}, 'preflight: off');

###############################################################################
# answers

my $etag = request(GET => "/v1/$events", @credential)->{headers}{etag};
for my $case (
    [ 200, GET => "/v1/$events", @credential ],
    [ 200, HEAD => "/v1/$events", @credential ],
    [ 200, GET => '/v1/feeds', @credential ],
    [ 304, GET => "/v1/$events", @credential, 'if-none-match' => $etag ],
    [ 201, POST => "/v1/$events", @credential, body => $t->event,
        'content-type' => 'application/json' ],
    [ 400, GET => "/v1/$events?limit=0", @credential ],
    [ 401, GET => "/v1/$events" ],
    [ 404, GET => '/v1/feeds/none/events', @credential ],
    [ 404, GET => '/v1/none' ],
    [ 405, DELETE => "/v1/$events" ],
    [ 406, GET => "/v1/$events", @credential, accept => 'text/html' ],
    [ 410, GET => "/v1/$events?after=abc-1", @credential ],
    [ 413, POST => "/v1/$events", @credential, body => 'x' x 2000,
        'content-type' => 'application/json' ])
{
    my ($status, $method, $path, %more) = @$case;
    $answer = request($method, $path, origin => $a, %more);
    is($answer->{status}, $status, "$method: $status");
    $cors = cors($answer);
    my %exposed = map { lc($_) => 1 } split /, /,
        delete $cors->{'expose-headers'} // '';
    is_deeply($cors, { 'allow-origin' => $a, 'allow-credentials' => 'true' },
        'may be read by its page');
    like($answer->{headers}{vary}, qr/\bOrigin$/, 'vary');

    # Those that a page sees without asking, and those that are not its own.
    my @hidden = grep { !$exposed{$_} && !/^(?:access-control-|cache-control|
        content-(?:length|type)|date|server|connection|vary)/x }
        keys %{ $answer->{headers} };
    is("@hidden", '', 'with every header that matters');
}

$answer = request(GET => "/v1/$events", @credential,
    accept => 'application/x-ndjson', origin => $a);
is($answer->{headers}{vary}, 'Accept, Origin', 'both decide');
is(() = $answer->{head} =~ /^vary:/mig, 1, 'in one field');
like($answer->{headers}{'access-control-expose-headers'}, qr/\bEventsync-Next,/,
    'next can be read');

$answer = request(GET => "/v1/$events", @credential,
    origin => 'https://c.example');
is($answer->{status}, 200, 'it is the browser that enforces');
is_deeply(cors($answer), {}, 'not for another origin');
$answer = request(GET => "/v1/$events", @credential);
is_deeply([ cors($answer), $answer->{headers}{vary} ], [ {}, 'Accept, Origin' ],
    'without an origin nothing is added, but caches know');

$answer = request(GET => "/any/$events", @credential, origin => $a);
is(cors($answer)->{'allow-origin'}, '*', 'any');
is(cors($answer)->{'allow-credentials'}, undef, 'any: never with credentials');
is_deeply(cors(request(GET => "/off/$events", @credential, origin => $a)), {},
    'off');

done_testing();
