#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# No byte of a request reaches a header, or a line of a log, as it came.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders', retain_count => 1);
$t->feed('checked', schema => 'warn');
my $key = $t->partner_key('acme', feeds => '*', publish => '*',
    scopes => 'read,publish,manage');

$t->ctl_ok({ stdin => '{"additionalProperties":{"type":"integer"}}' },
    'type', 'register', 'test.event', '1.0.0');

my %on = (location => <<'CONF');
eventsync_pages on;
            eventsync_cache shared;
            eventsync_backfill on;
            eventsync_snapshot on;
            eventsync_checkpoints on;
            eventsync_endpoints on;
            eventsync_catalogue on;
            eventsync_authorize on;
            eventsync_openapi on;
            eventsync_cors https://a.example;
            add_header X-Feed $eventsync_feed always;
CONF
$on{server} = qq(location '/a"> %?#\xc3\xa9b/' {
            eventsync_poll on;
            $on{location}
        });
$t->default_conf(%on, http => "log_format seen '\$eventsync_feed';\n"
        . 'access_log %%TESTDIR%%/access.log seen;');
$t->run_nginx;

$t->publish('orders', {}) for 1 .. 3;
my $epoch = $t->poll('orders', from => 'latest')->{next} =~ s/-.*//r;
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-2");

my $odd = '/a%22%3e%20%25%3f%23%c3%a9b';    # as a request has it

my $endpoint = endpoint('/v1')->{json}{name};
like($endpoint, qr/^ep_/, 'a partner makes an endpoint');

sub request {
    my ($method, $path, %more) = @_;
    my $body = $more{body};

    my $r = $t->http($method => $path, { authorization => "Bearer $key",
        $body ? ('content-type' => 'application/json') : (),
        %{ $more{headers} // {} } }, $body);
    $r->{json} = Test::Eventsync::json($r->{body});
    return $r;
}

sub endpoint {
    my ($prefix) = @_;
    return request(POST => "$prefix/endpoints", body =>
        '{"url":"https://127.0.0.1/","feeds":["orders"]}');
}

# What is wrong with the bytes of an answer to a request that had "zq", one of
# the bytes, "X-Injected: yes" and "zq" in one of its parts.
sub fault {
    my ($r) = @_;
    my ($line, @head) = split /\r\n/, $r->{head};

    return 'no answer' unless $r->{status};
    return "the status line $line"
        unless $line =~ m{^HTTP/1\.1 \d\d\d [ -~]*$};
    return 'a line of its own' if grep { /^X-Injected/i } @head;
    return "the header $_" for grep { !/^[A-Za-z0-9-]+: [ -~]*$/ } @head;
    return "a byte as it came in $_"
        for grep { /zq["<>\\ ]|["<>\\ ]X-Injected/ } @head;
    return "the status $r->{status}" if $r->{status} >= 500;
    return 'a body that is no JSON'
        if ($r->{headers}{'content-type'} // '') =~ /json$/
        && length $r->{body} && !$r->{json};
    return 'a body of nginx' if $r->{body} =~ /<html>/
        && ($r->{url} !~ /%00/ || $r->{status} != 400);
    return 'a control character in the body'
        if $r->{body} =~ /[\0-\x09\x0b-\x1f\x7f]/ && $r->{body} !~ /<html>/;
    return;
}

my @urls = (
    [POST => '/v1/P/endpoints'],
    (map { [GET => $_], [PUT => $_], [DELETE => $_], [OPTIONS => $_] }
        '/v1/P/feeds/P/checkpoints/P'),
    [GET => "/v1/P/feeds/orders/checkpoints"],
    [PUT => '/v1/feeds/orders/checkpoints/P'],
    (map { [GET => "/v1/P/feeds/P/$_?P=P"],
           [GET => "/v1/feeds/orders/$_?P=P&subject=P"],
           [GET => "/v1/P/feeds/orders/$_?after=$epoch-0&subject=P"],
           [GET => "/v1/P/feeds/orders/$_?from=$epoch-0&to=P&types=P"],
           [OPTIONS => "/v1/P/feeds/P/$_?P=P"] }
        qw(events backfill snapshot manifest authorize)),
    (map { [GET => $_] } '/v1/P/feeds/orders/pages/P/P',
        "/v1/P/feeds/P/pages/$epoch/1?P", "/v1/P/feeds/orders/pages/$epoch/1",
        '/v1/P/feeds?P=P', '/v1/P/feeds/P?P=P', '/v1/P/event-types?P=P',
        '/v1/P/event-types/P?type=P', '/v1/event-types/P/P?P',
        '/v1/event-types/test.event/P', '/v1/P/event-types/test.event/1.0.0',
        '/v1/P/openapi.json?P=P', '/v1/P?P', '/v1/P/P/P',
        '/v1/P/endpoints?limit=P', '/v1/endpoints/P?P=P',
        "/v1/P/endpoints/$endpoint", "/v1/P/endpoints/$endpoint/status?P=P",
        "/v1/P/endpoints/$endpoint/attempts?P=P"),
    [POST => '/v1/P/feeds/P/events?P=P'],
    [POST => '/v1/P/feeds/orders/events'],
    (map { [POST => "/v1/P/endpoints/P/$_"] }
        qw(pause rotate replay test simulate)),
    [PATCH => '/v1/P/endpoints/P'],
    [DELETE => '/v1/P/endpoints/P'],
);

# A path with more before a resource is nothing; without it, it is the resource.
push @urls, map { [$_->[0], $_->[1] =~ s{^/v1/P/}{/v1/}r] }
    grep { $_->[1] =~ m{^/v1/P/} } @urls;

my %accept = (
    'application/json'     => {},
    'application/x-ndjson' => {},
    'text/event-stream'    => { 'last-event-id' => 'zq">zq' },
);

# Every part of every URL in turn has the bytes; the others are as good as
# they can be.
sub variants {
    my ($url, $bytes) = @_;
    my @parts = split /\bP\b/, $url, -1;

    return map {
        my $at = $_;
        my $n = 0;
        join '', $parts[0], map {
            (++$n == $at ? "zq${bytes}X-Injected:%20yes${bytes}zq" : 'x')
                . $_ } @parts[1 .. $#parts];
    } 1 .. $#parts;
}

for my $bytes ('%0d%0a', '%0a', '%00', '%22', '%3e', '%7f', '%c2%85', '"',
    '>')
{
    my @faults;
    my $asked = 0;

    for (@urls) {
        my ($method, $template) = @$_;

        for my $url (variants($template, $bytes)) {
            my @accept = $method eq 'GET' && $url =~ /events/
                ? sort keys %accept : 'application/json';

            for my $accept (@accept) {
                my $r = request($method => $url,
                    headers => { accept => $accept, %{ $accept{$accept} } },
                    $method =~ /^P/ ? (body => '{"url":"https://a.example/",'
                        . '"feeds":["orders"]}') : ());

                $r->{url} = $url;
                $asked++;

                my $fault = fault($r) // next;
                push @faults, "$method $url ($accept): $fault";
            }
        }
    }

    cmp_ok($asked, '>', 150, "$bytes is sent in each part of each URL");
    is_deeply(\@faults, [], '... and nothing of it is in an answer as it came');
}

# The same in header fields.
my @faults;
for my $name (qw(accept accept-encoding authorization content-encoding
    content-type cookie if-match if-modified-since if-none-match last-event-id
    origin access-control-request-headers access-control-request-method prefer
    range traceparent x-forwarded-for), 'ce-id')
{
    for my $value ('zq">zq', "zq\x80\x9b\xffzq", '"zq"', 'zq</zq>;zq="zq,*/*') {
        for ([GET => '/v1/feeds/orders/events'], [OPTIONS => '/v1/feeds'],
            [GET => "/v1/feeds/orders/pages/$epoch/1"],
            [POST => '/v1/feeds/orders/events'], [GET => '/v1/endpoints'],
            [POST => '/v1/endpoints'], [GET => '/v1/event-types'],
            [PUT => '/v1/feeds/orders/checkpoints/a'])
        {
            my ($method, $url) = @$_;
            my $r = request($method => $url, headers => { $name => $value },
                $method =~ /^P/ ? (body => '{}') : ());

            $r->{url} = $url;
            my $fault = fault($r) // ($r->{head} =~ /zq/ ? $r->{head} : next);
            push @faults, "$method $url with $name: $value: $fault";
        }
    }
}
is_deeply(\@faults, [], 'nothing of a header field is in one of an answer');

###############################################################################
# what is answered instead

for my $bytes (qw(%0d%0a %0a %01 %1f %7f)) {
    my $r = endpoint("/v1/a${bytes}b");
    is($r->{status}, 400, "$bytes in a path");
    is($r->{json}{type}, 'urn:eventsync:problem:invalid-parameter',
        '... is a problem');
    is($r->{json}{detail}, 'The path contains a control character.',
        '... that is named');
    is($r->{headers}{'cache-control'}, 'no-store', '... and not stored');
}

is(request(GET => '/v1/a%00b/feeds')->{status}, 400, 'nginx refuses %00');
is(request(GET => '/v1/no%0asuch')->{status}, 400,
    'a path that leads nowhere is checked too');
is(request(GET => '/v1/feeds/orders/checkpoints/a%0ab')->{status}, 400,
    'and the name of a consumer');
is(scalar @{ request(GET => '/v1/endpoints')->{json}{endpoints} },
    1 + grep { $_->{status} == 201 } map { endpoint("/v1/a${_}b") }
        qw(%0d%0a %22 %3e %20 %25 %3f), 'what is refused makes nothing');

is(endpoint($odd)->{headers}{location} =~ s{/ep_[a-z2-7]+$}{}r,
    '/a%22%3E%20%25%3F%23%C3%A9b/endpoints',
    'Location has the path as a URL has it');

my $r = request(GET =>
    "$odd/feeds/orders/events?after=$epoch-0&subject=%22%3e");
is($r->{status}, 410, 'an expired cursor');
is($r->{json}{restart},
    '/a%22%3E%20%25%3F%23%C3%A9b/feeds/orders/events'
        . "?after=$epoch-2&subject=%22%3e",
    '... leads on by a URL, too');

$r = request(GET => '/v1/feeds/orders/events?from=oldest&subject=">&types=a',
    headers => { accept => 'application/x-ndjson' });
is($r->{headers}{link}, "<?after=$epoch-3&subject=%22%3E&types=a>; "
    . 'rel="next"', 'so does Link');

is(request(GET => '/v1/feeds/a%22%3eb')->{headers}{'x-feed'}, undef,
    'what is no name of a feed is not in $eventsync_feed');
is(request(GET => '/v1/feeds/orders')->{headers}{'x-feed'}, 'orders',
    'a name is');

###############################################################################
# logs

is($t->publish('checked', { id => 'w',
        data => { "a\nforged\x7f\x{9b}" => 'text' } })
    ->{status}, 201, 'a member that its schema does not allow is warned of');
ok($t->logged('error.log', qr/do not match their schemas/), '... in the log');
unlike($t->read_file('error.log'), qr/^forged/m,
    '... on one line, whatever its name');
like($t->read_file('error.log'), qr/forged\?\?\?"/,
    '... and without the controls of a terminal');
like($t->read_file('access.log'), qr/\A(?:[a-z0-9_-]+\n)+\z/,
    'the access log has names of feeds only');

my $dispatcher = $t->start('dispatcher', {},
    $t->build . '/eventsync-dispatcher', '--store', $t->testdir . "/a\nforged");
isnt($dispatcher->wait(20), 0, 'a dispatcher that does not start');
like($dispatcher->stderr, qr/\A[^\n]*a\?forged[^\n]*\n\z/,
    'has a log of one line, too');

done_testing();
