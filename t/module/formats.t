#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# One page in each of its representations: chosen by Accept, with the same
# events in all of them, and each with its own etag; HEAD of everything.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init->feed('orders')->feed('empty');
my $key = $t->master_key;
$t->default_conf(location => 'eventsync_limit poll rate=1000r/s burst=9000;');
$t->run_nginx;

my $events = '/v1/feeds/orders/events';
my ($json, $ndjson, $batch) = ('application/json', 'application/x-ndjson',
    'application/cloudevents-batch+json');
my @formats = ($json, $ndjson, $batch);

sub request {
    my ($method, $path, %headers) = @_;
    return $t->http($method => $path,
        { authorization => "Bearer $key", %headers });
}

sub get { return request(GET => @_) }

sub type {
    my ($accept) = @_;
    my $answer = get("$events?limit=1", accept => $accept);
    return "$answer->{status} $answer->{headers}{'content-type'}";
}

$t->publish('orders', map { { id => "o$_",
    type => $_ % 3 ? 'order.created' : 'price.updated' } } 1 .. 12);
my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-12$/;

###############################################################################
# negotiation: RFC 9110, section 12.5.1; the rest of it is in t/unit/accept.c

is(type($_->[0]), "200 $_->[1]", 'accept ' . ($_->[0] // 'nothing')) for
    [ undef, $json ],
    [ '', $json ],
    [ '*/*', $json ],
    [ 'application/*', $json ],
    [ $json, $json ],
    [ $ndjson, $ndjson ],
    [ $batch, $batch ],
    [ "$ndjson, $json", $json ],
    [ "$json;q=0.1, $batch", $batch ],
    [ "$ndjson;q=0.5, $json;q=0.4, text/html", $ndjson ],
    [ "*/*, $json;q=0, $ndjson;q=0.1", $batch ],
    [ 'text/html, */*;q=0.1', $json ],
    [ "$json;charset=utf-8", $json ];

my $answer = $t->http(GET => $events, [ authorization => "Bearer $key",
    accept => 'text/html', accept => "$json;q=0.5", accept => $ndjson ]);
is($answer->{headers}{'content-type'}, $ndjson, 'several fields are one list');

# Names that nobody registered are all in use; the answer has the documented one.
is(type($_), "200 $ndjson", "accept $_: means NDJSON") for
    qw(application/ndjson application/jsonl application/x-jsonl
    application/jsonlines application/x-jsonlines Application/JSONL;q=0.1),
    "application/jsonl, $json;q=0.9", 'application/ndjson, */*;q=0.1';
is(type($_), "200 $json", "accept $_: JSON comes first") for
    "application/jsonl, $json", "application/jsonl;q=0.1, $json;q=0.2",
    'application/ndjson;q=0.5, */*';

for my $accept ('text/html', 'application/xml, text/*', "$json;q=0", 'json',
    '*/*;q=0', 'text/event-stream', ';;;', '"')
{
    $answer = get($events, accept => $accept);
    my $doc = Test::Eventsync::json($answer->{body});
    is("$answer->{status} $doc->{type} $doc->{status}",
        '406 urn:eventsync:problem:not-acceptable 406', "accept $accept: 406");
    is($answer->{headers}{'content-type'}, 'application/problem+json',
        'a problem document all the same');
    is($answer->{headers}{'cache-control'}, 'no-store', 'not to be stored');
    is_deeply($doc->{available}, \@formats, 'says what there is');
}

###############################################################################
# bodies

my %answer = map { $_ => get("$events?after=$epoch-2&limit=4", accept => $_) }
    @formats;
my $page = Test::Eventsync::json($answer{$json}{body});
my @texts = split /\n/, $answer{$ndjson}{body};

is($page->{next}, "$epoch-6", 'json: next');
is($answer{$ndjson}{body}, join('', map { "$_\n" } @texts),
    'ndjson: each line is ended');
is(scalar @texts, 4, 'ndjson: as many lines as events');
is_deeply([ map { Test::Eventsync::json($_) } @texts ], $page->{events},
    'ndjson: the events');
is($answer{$batch}{body}, '[' . join(',', @texts) . ']',
    'batch: the same bytes');
like($answer{$json}{body}, qr/\A\{"events":\[\Q@{[ join ',', @texts ]}\E\],/,
    'json: the same bytes');

for my $format (@formats) {
    my $headers = $answer{$format}{headers};
    is($headers->{vary}, 'Accept', "$format: vary");
    is($headers->{'cache-control'}, 'private, no-cache', "$format: caching");
    like($headers->{ratelimit}, qr/^"poll";/, "$format: quota");
    is($headers->{'content-length'}, length $answer{$format}{body},
        "$format: length");
}
is($answer{$json}{headers}{$_}, undef, "json: no $_") for
    qw(link eventsync-next eventsync-has-more);

is(get("$events?after=$epoch-12", accept => $ndjson)->{body}, '',
    'ndjson: nothing');
is(get("$events?after=$epoch-12", accept => $batch)->{body}, '[]',
    'batch: nothing');
$answer = get('/v1/feeds/empty/events', accept => $ndjson);
is($answer->{status}, 200, 'ndjson of an empty feed');
like($answer->{headers}{'eventsync-next'}, qr/^[a-z2-7]+-0$/, 'and its next');

###############################################################################
# next

for my $format ($ndjson, $batch) {
    my $headers = $answer{$format}{headers};
    is($headers->{'eventsync-next'}, "$epoch-6", "$format: next");
    is($headers->{'eventsync-has-more'}, 'true', "$format: more");
    is($headers->{link}, "<?after=$epoch-6&limit=4>; rel=\"next\"",
        "$format: link");
    is(get("$events?after=$epoch-6", accept => $format)
        ->{headers}{'eventsync-has-more'}, 'false', "$format: no more");

    # The link alone leads through everything that was asked for.
    my ($query, @ids) = '?types=order.*,price.none&from=oldest&limit=3';
    for (1 .. 10) {
        $answer = get("$events$query", accept => $format);
        push @ids, $answer->{body} =~ /"id":"(o\d+)"/g;
        ($query) = $answer->{headers}{link} =~ /^<(\?.*)>; rel="next"$/;
        last if $answer->{headers}{'eventsync-has-more'} eq 'false';
    }
    is("@ids", 'o1 o2 o4 o5 o7 o8 o10 o11', "$format: by links");
}

$answer = get("$events?&subject=%22%3e+<\">\x{e4}&&", accept => $ndjson);
is($answer->{status}, 400, 'bytes that are no UTF-8');
$answer = get("$events?&subject=%22%3e+<\">'{&&", accept => $ndjson);
is($answer->{headers}{link},
    "<?after=$epoch-12&subject=%22%3e+%3C%22%3E'%7B>; rel=\"next\"",
    'a link is safe whatever was asked');

###############################################################################
# conditional requests

my %etag = map { $_ => $answer{$_}{headers}{etag} } @formats;
is(keys %{ { reverse %etag } }, 3, 'an etag for each representation');
for my $format (@formats) {
    for my $other (@formats) {
        $answer = get("$events?after=$epoch-2&limit=4", accept => $format,
            'if-none-match' => $etag{$other});
        is($answer->{status}, $format eq $other ? 304 : 200,
            "$format if none match that of $other");
        is($answer->{headers}{vary}, 'Accept', 'vary');
        is($answer->{headers}{etag}, $etag{$format}, 'its etag');
    }
}

###############################################################################
# long polls

my %wait = map { $_ => $t->http_start(GET => "$events?after=$epoch-12&wait=20",
    { authorization => "Bearer $key", accept => $_ }) } @formats;
my $head = $t->http_start(HEAD => "$events?after=$epoch-12&wait=20",
    { authorization => "Bearer $key", accept => $ndjson });
$t->waiting(4);
$t->publish('orders', { id => 'late' });
%wait = map { $_ => $t->http_end($wait{$_}) } @formats;
like($wait{$json}{body}, qr/^\{"events":\[\{.*"id":"late"/, 'json: awaited');
like($wait{$ndjson}{body}, qr/\A\{.*"id":"late".*\}\n\z/, 'ndjson: awaited');
like($wait{$batch}{body}, qr/\A\[\{.*"id":"late".*\}\]\z/, 'batch: awaited');
is($wait{$batch}{headers}{'eventsync-next'}, "$epoch-13", 'with its next');
is($wait{$batch}{headers}{link}, "<?after=$epoch-13&wait=20>; rel=\"next\"",
    'and its link');
$answer = $t->http_end($head);
is($answer->{status}, 200, 'head: awaited');
is($answer->{headers}{'content-length'}, length $wait{$ndjson}{body},
    'head: length');

###############################################################################
# HEAD has the headers of GET, whatever is answered

my $sock = $t->socket;
for my $case (
    [ 200, $events ],
    [ 200, $events, accept => $ndjson ],
    [ 200, "$events?after=$epoch-13", accept => $batch ],
    [ 200, '/v1/feeds' ],
    [ 200, '/v1/feeds/orders' ],
    [ 304, $events, 'if-none-match' => '*' ],
    [ 400, "$events?limit=0" ],
    [ 400, "$events?after=x" ],
    [ 401, $events, authorization => undef ],
    [ 404, '/v1/feeds/none/events' ],
    [ 404, '/v1/nothing' ],
    [ 406, $events, accept => 'text/html' ],
    [ 410, "$events?after=abc-1" ])
{
    my ($status, $path, %headers) = @$case;
    my $get = request(GET => $path, %headers);
    $head = $t->http(HEAD => $path, { authorization => "Bearer $key",
        %headers }, undef, socket => $sock);
    $_->{headers} = { %{ $_->{headers} }, connection => 0, date => 0,
        ratelimit => 0 } for $get, $head;
    is($head->{status}, $status, "head of $path: $status");
    is_deeply($head->{headers}, $get->{headers}, 'with the headers of get');
}
is(request(HEAD => '/v1/feeds')->{status}, 200, 'and no body is left behind');
close $sock;

is($t->http(HEAD => $events, { authorization => "Bearer $key",
    accept => $ndjson })->{body}, '', 'no body');

done_testing();
