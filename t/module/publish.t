#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Publish: four ways to send events, all or nothing, once, in order, durable;
# and everything that can be wrong with them.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('modes')->feed('big')->feed('attrs');
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    log_format events '$status $eventsync_partner $eventsync_feed '
                      '$eventsync_first-$eventsync_last';
    access_log %%TESTDIR%%/events.log events;
    eventsync_store %%STORE%%;
    client_max_body_size 2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% sndbuf=8k;

        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
        }

        location /only/ {
            eventsync_publish on;
        }

        location /small/ {
            eventsync_publish on;
            eventsync_max_event 1k;
            client_max_body_size 10k;
        }

        location /file/ {
            eventsync_publish on;
            client_body_in_file_only clean;
        }

        location /buffer/ {
            eventsync_publish on;
            client_body_buffer_size 1k;
        }

        location /page/ {
            eventsync_publish on;
            client_max_body_size 1k;
            error_page 413 /toolarge;
        }

        location = /toolarge {
            return 413 "mine\n";
        }
    }
}
CONF
$t->run_nginx;

my %type = (one => 'application/cloudevents+json',
    batch => 'application/cloudevents-batch+json',
    lines => 'application/x-ndjson', json => 'application/json');

sub post {
    my ($feed, $type, $body, %headers) = @_;
    my $path = $feed =~ m{^/} ? $feed : "/v1/feeds/$feed/events";
    my $answer = $t->http(POST => $path, { authorization => "Bearer $key",
        'content-type' => $type{ $type // '' } // $type, %headers }, $body);
    $answer->{json} = Test::Eventsync::json($answer->{body});
    return $answer;
}

sub results {
    my ($answer) = @_;
    return join ' ', map { "$_->{id}:" . ($_->{cursor} =~ s/.*-//r)
        . ($_->{duplicate} ? ':dup' : '') } @{ $answer->{json}{results} };
}

sub is_problem {
    my ($answer, $status, $type, $name) = @_;
    is("$answer->{status} " . ($answer->{json}{type} // $answer->{body}),
        "$status urn:eventsync:problem:$type", $name);
    is(join(' ', map { $_ // '' } @{ $answer->{headers} }{qw(content-type
        cache-control)}), 'application/problem+json no-store',
        "$name: a problem, not to be stored");
    return $answer->{json};
}

sub last_of { return ($t->poll($_[0], from => 'latest')->{next} =~ /-(\d+)$/)[0] }

###############################################################################
# modes

my $answer = post('orders', 'one', $t->event(id => 'a1'));
is($answer->{status}, 201, 'structured');
is($answer->{headers}{'content-type'}, 'application/json', 'type of the answer');
is($answer->{headers}{'cache-control'}, 'no-store', 'answer is not stored');
my ($epoch) = $answer->{body}
    =~ /\A\{"results":\[\{"id":"a1","cursor":"([a-z2-7]+)-1","duplicate":false\}\]\}\z/;
ok($epoch, 'the whole answer');

is(results(post('orders', 'json', $t->event(id => 'a2'))), 'a2:2',
    'structured as application/json');
is(results(post('orders', 'batch', '[' . join(',', map { $t->event(id => $_) }
    qw(a3 a4)) . ']')), 'a3:3 a4:4', 'batch');
is(results(post('orders', 'lines', join "\n", map { $t->event(id => $_) }
    qw(a5 a6))), 'a5:5 a6:6', 'ndjson');
is(results(post('orders', 'lines', "\n \t\r\n" . $t->event(id => 'a7')
    . "\r\n  \n\n ")), 'a7:7', 'ndjson with empty lines and blanks');
is(results(post('orders', 'application/cloudevents+json; charset=utf-8',
    $t->event(id => 'a8'))), 'a8:8', 'content type with a parameter');
is(results(post('orders', 'APPLICATION/JSON', $t->event(id => 'a9'))), 'a9:9',
    'content type in capitals');
is(results(post('/only/feeds/orders/events', 'one', $t->event(id => 'a10'))),
    'a10:10', 'publish alone in a location');

my $exact = '{ "n" : 1.00, "big":12345678901234567890, "e":1E+2, "s":"\u00e9\/"}';
post('orders', 'one', $t->event(id => 'a11', data => \$exact));
like($t->http(GET => "/v1/feeds/orders/events?after=$epoch-10",
    { authorization => "Bearer $key" })->{body}, qr/"data":\Q$exact\E\}/,
    'bytes of data are kept');

###############################################################################
# binary mode

my %ce = ('ce-specversion' => '1.0', 'ce-source' => '/b',
    'ce-type' => 'b.c');

sub stored { return $t->poll('modes')->{events}[-1] }

is(results(post('modes', 'application/json', '{"v": 1.0}', %ce,
    'ce-id' => 'b1', 'ce-subject' => 'caf%C3%A9%20%22x%22', 'ce-ext' => 'e',
    'CE-Time' => '2026-01-02T03:04:05Z')), 'b1:1', 'binary, json');
my $event = stored();
is_deeply([ @$event{qw(id source type subject ext datacontenttype)} ],
    [ 'b1', '/b', 'b.c', "caf\x{e9} \"x\"", 'e', 'application/json' ],
    'attributes are decoded');
is_deeply($event->{data}, { v => 1 }, 'data');
like($event->{time}, qr/^2026-01-02T03:04:05/, 'time');

post('modes', 'text/plain', "caf\xc3\xa9", %ce, 'ce-id' => 'b2');
is(stored()->{data}, "caf\x{e9}", 'binary, text');
post('modes', 'application/octet-stream', "\x00\xff", %ce, 'ce-id' => 'b3');
is(stored()->{data_base64}, 'AP8=', 'binary, bytes');
post('modes', 'application/x-ndjson', "1\n2\n", %ce, 'ce-id' => 'b4');
is(stored()->{id}, 'b4', 'binary goes before ndjson');
is(post('modes', undef, undef, %ce, 'ce-id' => 'b5')->{status}, 201,
    'binary without data');
ok(!exists stored()->{data}, 'then there is none');
is(results(post('modes', 'one', $t->event(id => 'b6'), 'ce-id' => 'no')),
    'b6:6', 'a cloudevents type goes before binary');

for my $bad ('%zz', 'a%', '100% sure', '%4', "a\x{25}g0") {
    my $answer = is_problem(post('modes', 'application/json', '{}', %ce,
        'ce-id' => $bad), 400, 'invalid-event', "malformed: '$bad'");
    is("$answer->{index} $answer->{pointer}", '0 /id', 'which is named');
}
is_problem(post('modes', 'application/json', '{}', %ce, 'ce-id' => 'b6b',
    'ce-subject' => '50%'), 400, 'invalid-event', 'also of a subject');

my $doc = is_problem(post('modes', 'application/json', '{', %ce,
    'ce-id' => 'b7'), 400, 'invalid-event', 'binary, malformed json');
$doc = is_problem(post('modes', 'application/json', '{}', %ce), 400,
    'invalid-event', 'binary without an id');
is_deeply([ @$doc{qw(index pointer)} ], [ 0, '/id' ], 'says which attribute');
is_problem(post('modes', 'application/json', '{}', %ce, 'ce-id' => 'x',
    'ce-sequence' => '1'), 400, 'invalid-event', "the log's own attribute");

###############################################################################
# once

is(results(post('orders', 'one', $t->event(id => 'a1'))), 'a1:1:dup',
    'a repeated event has its first cursor');
is(results(post('orders', 'lines', join "\n", map { $t->event(id => $_) }
    qw(a2 c1 a3 c2))), 'a2:2:dup c1:12 a3:3:dup c2:13', 'some are repeated');
is(results(post('orders', 'lines', join "\n", map { $t->event(id => $_) }
    qw(c3 c3))), 'c3:14 c3:14:dup', 'repeated within a request');
is(results(post('orders', 'one', $t->event(id => 'a1', source => '/other'))),
    'a1:15', 'another source is another event');

$doc = is_problem(post('orders', 'lines', join "\n", $t->event(id => 'd1'),
    $t->event(id => 'a1', type => 'changed')), 409, 'conflict',
    'same identity, other content');
is_deeply([ @$doc{qw(index pointer)} ], [ 1, '/id' ], 'says which');
is(last_of('orders'), 15, 'nothing of the request is stored');

###############################################################################
# all or nothing

my $good = $t->event(id => 'e1');
my @bad = (
    [ one => '', 0, '' ],
    [ one => '{', 0, '' ],
    [ one => '[]', 0, '' ],
    [ one => '"x"', 0, '' ],
    [ one => "$good$good", 0, '' ],
    [ one => '{"specversion":"1.0","source":"/s","type":"t"}', 0, '/id' ],
    [ one => '{"specversion":"0.3","id":"x","source":"/s","type":"t"}', 0,
        '/specversion' ],
    [ one => '{"specversion":"1.0","id":"a.b","source":"/s","type":"t"}', 0,
        '/id' ],
    [ one => '{"specversion":"1.0","id":"x","source":"/s","type":"t","cursor":"c"}',
        0, '/cursor' ],
    [ one => '{"specversion":"1.0","id":"x","source":"/s","type":"t","id":"y"}',
        0, '/id' ],
    [ one => "{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"\xff\"}",
        0, undef ],
    [ lines => "$good\n{\n", 1, undef ],
    [ lines => "$good\n" . $t->event(id => 'e2', time => 'noon'), 1, '/time' ],
    [ batch => "[$good,{}]", 1, undef ],
    [ batch => $good, undef, undef ],
    [ batch => "[$good", undef, undef ],
    [ batch => '[]', undef, undef ],
    [ lines => '', undef, undef ],
    [ lines => "\n\n", undef, undef ],
);
for my $case (@bad) {
    my ($type, $body, $index, $pointer) = @$case;
    my $name = "$type: " . (length $body ? substr($body, 0, 60) : 'empty');
    $name =~ s/[^ -~]/?/g;
    $doc = is_problem(post('orders', $type, $body), 400, 'invalid-event', $name);
    is($doc->{index}, $index, "$name: index") if defined $index;
    is($doc->{pointer}, $pointer, "$name: pointer") if defined $pointer;
}
is(last_of('orders'), 15, 'nothing of any of them is stored');

is_problem(post('orders', $_, $good), 415, 'unsupported-media-type',
    'type ' . ($_ // 'none')) for undef, 'text/plain',
    'application/x-www-form-urlencoded', 'application/jsonx';
for my $body ([ one => $good ], [ lines => $good ], [ batch => "[$good]" ]) {
    $doc = is_problem(post('orders', $body->[0], "\xef\xbb\xbf$body->[1]"), 400,
        'invalid-event', "$body->[0]: a byte order mark");
    like($doc->{detail}, qr/must not begin with a byte order mark/, 'says so');
}
is_problem(post('none', 'one', $good), 404, 'not-found', 'no such feed');
is_problem(post('/v1/feeds/orders/events?x=1', 'one', $good), 400,
    'invalid-parameter', 'a parameter');

###############################################################################
# sizes

my $pad = 'x' x 900;
is(post('/small/feeds/big/events', 'one', $t->event(id => 's1', data => 'x'))
    ->{status}, 201, 'small enough');
$doc = is_problem(post('/small/feeds/big/events', 'lines', join "\n",
    $t->event(id => 's2'), $t->event(id => 's3', data => $pad)), 413,
    'too-large', 'an event that is too large');
is($doc->{index}, 1, 'says which');
is_problem(post('/small/feeds/big/events', 'lines', 'x' x 20000), 413,
    'too-large', 'a body that is too large');

my $answer413 = $t->http(POST => '/small/feeds/big/events',
    { authorization => "Bearer $key", 'content-type' => $type{lines},
        'transfer-encoding' => 'chunked' },
    sprintf("%x\r\n%s\r\n0\r\n\r\n", 20000, 'x' x 20000));
is($answer413->{status}, 413, 'a chunked body that is too large');
is(Test::Eventsync::json($answer413->{body})->{type},
    'urn:eventsync:problem:too-large', 'a problem as well');
is(post('/page/feeds/big/events', 'lines', 'x' x 2000)->{body}, "mine\n",
    "an error page of the configuration's own");

# Attributes of the length that is allowed, and of one byte more: keys of the
# store are made of some. They share no commit with what would make it fail.
my $text;
my %most = (id => 128, source => 1024, type => 255, subject => 1024);
my %way = (
    one => sub { post('attrs', 'one', $t->event(@_)) },
    batch => sub { post('attrs', 'batch', '[' . $t->event(@_) . ']') },
    lines => sub { post('attrs', 'lines', $t->event(@_)) },
    binary => sub { my %e = (id => 'x', source => '/s', type => 't', @_);
        post('attrs', 'text/plain', 'x', 'ce-specversion' => '1.0',
            map { ("ce-$_" => $e{$_}) } keys %e) },
);
for my $way (sort keys %way) {
    for my $name (sort keys %most) {
        my ($n, @id) = ($most{$name}, $name eq 'id' ? () : (id => "$way-$name"));
        my $text = substr "$way/$name/" . 'a' x 1100, 0, $n;
        is($way{$way}->(@id, $name => $text)->{status}, 201,
            "$way: $name of $n bytes");
        is($t->poll('attrs', limit => 1000)->{events}[-1]{$name}, $text,
            "$way: $name as it was sent");
        $doc = is_problem($way{$way}->(@id, $name => "${text}a"),
            $name eq 'type' ? (400, 'invalid-event') : (413, 'too-large'),
            "$way: $name of one byte more");
        is_deeply([ @$doc{qw(index pointer)} ], [ 0, "/$name" ],
            "$way: $name: says where");
    }
}
$text = 'binary/subject/' . 'a' x (1024 - 15);
is(@{ $t->poll('attrs', subject => $text)->{events} }, 1,
    'a subject of all its length is found');
$text = 'binary/type/' . 'a' x (255 - 12);
is(@{ $t->poll('attrs', types => $text)->{events} }, 1, 'and such a type');
is_problem(post('attrs', 'one', $t->event(id => "m$_", type => 'a' x $_)), 400,
    'invalid-event', "a type of $_ bytes") for 511, 512, 1024, 5000;

my $large = $t->event(id => 'l1', data => 'y' x 250_000);
is(post('big', 'one', $large)->{status}, 201, 'a large event');
is_problem(post('big', 'one', $t->event(id => 'l2', data => 'y' x 263_000)),
    413, 'too-large', 'larger than the default allows');
is(length $t->poll('big', limit => 1000)->{events}[-1]{data}, 250_000,
    'the large event comes back');

my $n = 3000;
my @events = map { $t->event(id => "m$_", data => { n => $_ }) } 1 .. $n;
my $before = last_of('big');
for my $place ('/v1/', '/file/', '/buffer/') {
    $answer = post("${place}feeds/big/events", 'lines', join "\n", @events);
    is($answer->{status}, 201, "$n events through $place");
    is($answer->{json}{results}[-1]{cursor} =~ s/.*-//r, $before + $n,
        "the last of them through $place");
    is($answer->{json}{results}[0]{duplicate} ? 1 : 0, $place eq '/v1/' ? 0 : 1,
        "stored once, through $place");
}
is(post('/file/feeds/big/events', 'one', $t->event(id => 'tiny'))->{status},
    201, 'a small body in a file');
is(post('/file/feeds/big/events', 'one', '{')->{status}, 400,
    'a malformed one in a file');
is(post('big', 'lines', join "\n", @events, '{')->{json}{index}, $n,
    'a malformed one at the end of many');
is_problem(post('big', 'lines', join "\n", map {
    qq({"specversion":"1.0","id":"k$_","source":"/s","type":"t"}) } 0 .. 10000),
    413, 'too-large', 'more than 10000 events');

my $chunked = $t->http(POST => '/v1/feeds/big/events',
    { authorization => "Bearer $key", 'content-type' => $type{one},
        'transfer-encoding' => 'chunked' },
    join '', (map { sprintf "%x\r\n%s\r\n", length $_, $_ }
        $t->event(id => 'chunked') =~ /(.{1,7})/g), "0\r\n\r\n");
is($chunked->{status}, 201, 'a chunked body');

$answer = $t->http(POST => '/v1/feeds/big/events',
    { authorization => "Bearer $key", 'content-type' => $type{one},
        expect => '100-continue' }, $t->event(id => 'expect'));
is($answer->{status}, 201, 'expect: 100-continue');

###############################################################################
# many at once, in order, once

my @calls;
for my $i (1 .. 100) {
    push @calls, $t->http_start(POST => '/v1/feeds/orders/events',
        { authorization => "Bearer $key", 'content-type' => $type{one} },
        $t->event(id => "p$i"));
}
my @answers = map { $t->http_end($_) } @calls;
is(scalar(grep { $_->{status} == 201 } @answers), 100, '100 at once');
my %cursors = map { Test::Eventsync::json($_->{body})->{results}[0]{cursor} => 1 }
    @answers;
is(keys %cursors, 100, 'each has a cursor of its own');
is(last_of('orders'), 115, 'and none is left out');

@calls = map { $t->http_start(POST => '/v1/feeds/orders/events',
    { authorization => "Bearer $key", 'content-type' => $type{one} },
    $t->event(id => 'same')) } 1 .. 20;
@answers = map { Test::Eventsync::json($t->http_end($_)->{body})->{results}[0] }
    @calls;
is(scalar(grep { !$_->{duplicate} } @answers), 1,
    'of the same at once one is the first');
is(keys %{ { map { $_->{cursor} => 1 } @answers } }, 1, 'all have its cursor');

# One bad request does not spoil those that share its commit.
@calls = map { $t->http_start(POST => '/v1/feeds/'
        . ($_ % 4 == 0 ? 'none' : 'orders') . '/events',
    { authorization => "Bearer $key", 'content-type' => $type{one} },
    $t->event(id => $_ % 4 == 1 ? 'a1' : "q$_",
        $_ % 4 == 1 ? (type => 'changed') : ())) } 1 .. 40;
is_deeply([ map { $t->http_end($_)->{status} } @calls ],
    [ map { $_ % 4 == 0 ? 404 : $_ % 4 == 1 ? 409 : 201 } 1 .. 40 ],
    'each request of a commit has its own outcome');

###############################################################################
# clients that leave

my $count = last_of('orders');
for my $i (1 .. 60) {
    my $call = $t->http_start(POST => '/v1/feeds/orders/events',
        { authorization => "Bearer $key", 'content-type' => $type{one} },
        $t->event(id => "gone$i"));
    $i % 2 ? close $call->{sock} : $t->reset_socket($call->{sock});
}
my $sock = $t->socket;
$t->send_all($sock, "POST /v1/feeds/orders/events HTTP/1.1\r\nHost: x\r\n"
    . "Authorization: Bearer $key\r\nContent-Type: application/json\r\n"
    . "Content-Length: 1000\r\n\r\n{");
close $sock;
ok(wait_for(sub { last_of('orders') >= $count + 30 }, 10),
    'who leaves after sending has published');
is(post('orders', 'one', $t->event(id => 'after'))->{status}, 201,
    'others go on');

$sock = $t->socket;
for my $i (1 .. 3) {
    my $answer = $t->http(POST => '/v1/feeds/orders/events',
        { authorization => "Bearer $key", 'content-type' => $type{one} },
        $i == 2 ? '{' : $t->event(id => "kept$i"), socket => $sock);
    is($answer->{status}, $i == 2 ? 400 : 201, "kept alive: $i");
}

###############################################################################
# workers that stop finish what they have begun

sub many {
    my ($prefix) = @_;
    return join "\n", map { $t->event(id => "$prefix-$_") } 1 .. 2000;
}

@calls = map { $t->http_start(POST => '/v1/feeds/big/events',
    { authorization => "Bearer $key", 'content-type' => $type{lines} },
    many("r$_")) } 1 .. 6;
ok($t->reload, 'reload while committing');
is_deeply([ map { $t->http_end($_)->{status} } @calls ], [ (201) x 6 ],
    'all are answered');

# An answer that the socket does not take at once.
$large = $t->http_end($t->http_start(POST => '/v1/feeds/big/events',
    { authorization => "Bearer $key", 'content-type' => $type{lines} },
    many('large'), port => $t->port(1)));
is($large->{status}, 201, 'an answer larger than the socket takes at once');
is(scalar @{ Test::Eventsync::json($large->{body})->{results} }, 2000,
    'is whole');

$t->stop_nginx;
ok($t->verify, 'the store is right');
my $log = $t->read_file('events.log');
like($log, qr/^201 tester orders 5-6$/m, 'log: what was stored');
like($log, qr/^409 tester orders ---$/m, 'log: what was not');

done_testing();
