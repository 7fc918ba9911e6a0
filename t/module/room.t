#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Room for large answers that are sent in one piece: a bound for a partner, and
# one for all, beyond which requests are refused and cost nothing.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('orders');

# 64 of these are within the bound of a partner of 16 MB, and 258 within that
# of all, 64 MB.
my $schema = '{"type":"object","description":"' . 'd' x 259_960 . '"}';

my ($code, $out, $err) = $t->ctl({ stdin => $schema }, 'type', 'register',
    'order.large', '1.0.0');
is($code, 0, 'a large schema') or diag $err;
($code) = $t->ctl({ stdin => '{"type":"object"}' }, 'type', 'register',
    'order.small', '1.0.0');
is($code, 0, 'a small one');

my %key = map { $_ => $t->partner_key($_, feeds => '*', publish => '*',
    scopes => 'read,publish') } 'a' .. 'e';

$t->write_file_expand('nginx.conf', <<'CONF');
events { worker_connections 1024; }

http {
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=32k;
        client_max_body_size 16m;

        location /v1/ {
            eventsync_catalogue on;
            eventsync_poll on;
            eventsync_publish on;
        }

        location /quota/ {
            eventsync_catalogue on;
            eventsync_limit poll rate=1r/d burst=3;
        }

        location /single/ {
            eventsync_catalogue on;
            eventsync_limit waits max=1;
        }
    }
}
CONF
$t->run_nginx;

sub path { return (shift // '/v1') . '/event-types/order.large/1.0.0' }

sub get {
    my ($who, $path) = @_;
    my $answer = $t->http(GET => $path // path(),
        { authorization => "Bearer $key{$who}" });
    $answer->{json} = Test::Eventsync::json($answer->{body});
    return $answer;
}

sub stalled {
    my ($who, $path) = @_;
    my $sock = $t->stalled($path // path(),
        { authorization => "Bearer $key{$who}" });
    sysread $sock, my $line, 12;
    die "$who: $line\n" if $line ne 'HTTP/1.1 200';
    return $sock;
}

ok(get('a')->{body} eq $schema, 'one large answer');

my %stalled = (a => [map { stalled('a') } 1 .. 64]);

# The partner's bound.
my $answer = get('a');
is($answer->{status}, 429, 'one more of this partner');
like($answer->{json}{type}, qr/quota-exceeded$/, 'its type');
is_deeply($answer->{json}{'violated-policies'}, ['answers'], 'by what');
like($answer->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'when to come again');
is($answer->{headers}{etag}, undef, 'without the ETag of the answer');
is(get('a', '/v1/event-types/order.small/1.0.0')->{status}, 200,
    'a small answer');
is($t->http(HEAD => path(), { authorization => "Bearer $key{a}" })->{status},
    200, 'HEAD needs no room');
is(get('b')->{status}, 200, 'another partner');

is(get('a', path('/quota'))->{status}, 429, 'refused') for 1 .. 5;

# A batch whose answer would need room is refused before anything is stored.
{
    my $body = join '', map { $t->event(id => "e$_") . "\n" } 1 .. 1200;
    my $publish = sub { $t->http(POST => '/v1/feeds/orders/events',
        { authorization => "Bearer $key{a}",
          'content-type' => 'application/x-ndjson' }, $body)->{status} };
    is($publish->(), 429, 'a large batch');
    is($t->poll('orders')->{latest} =~ s/.*-//r, 0, 'of which nothing is stored');

    close shift @{ $stalled{a} };
    ok(wait_for(sub { $publish->() == 201 }), 'until another answer ends');
    push @{ $stalled{a} }, stalled('a');
}

# The bound of all.
for my $who ('b' .. 'd') {
    $stalled{$who} = [map { stalled($who) } 1 .. 64];
}
$stalled{e} = [map { stalled('e') } 1 .. 2];
$answer = get('e');
is($answer->{status}, 503, 'one more of all');
like($answer->{json}{type}, qr/unavailable$/, 'its type');
like($answer->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'when to come again');

close $_ for map { @$_ } values %stalled;
%stalled = ();
ok(wait_for(sub { get('a')->{status} == 200 }), 'when they have ended');
is(get('a', path('/quota'))->{status}, 200, 'what was refused cost nothing')
    for 1 .. 3;
is(get('a', path('/quota'))->{status}, 429, 'what was not did');

# The policy "waits".
{
    my $sock = stalled('e', path('/single'));
    $answer = get('e', path('/single'));
    is($answer->{status}, 429, 'one at a time');
    is_deeply($answer->{json}{'violated-policies'}, ['waits'], 'by that policy');
    is(get('e', '/single/event-types/order.small/1.0.0')->{status}, 200,
        'small answers do not count');
    close $sock;
    ok(wait_for(sub { get('e', path('/single'))->{status} == 200 }),
        'the next one after it');
}

done_testing();
